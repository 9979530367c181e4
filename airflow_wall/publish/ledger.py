"""
The documents of one release name: what is open, what is staged, what clients see.

::

    <state>/releases/<name>/<release>.json   one release: status, fence, parts
    <state>/releases/<name>/current.json     what clients see, and what they saw before

Locks are per name, not per release, so that their files stay few. Whoever holds several takes them in the order
`turn`, `part`, `documents`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_wall import state
from airflow_wall.errors import Interrupted, ReleaseError

OPEN = "open"
CLOSING = "closing"
COMMITTING = "committing"
COMMITTED = "committed"
ROLLED_BACK = "rolled back"

_POLL = 0.05


@dataclass
class Part:
    """
    What one task staged.

    :param attempt: Try of that task.
    :param rows: Number of rows, None while they are being staged.
    :param digest: SHA-256 of the rows, None while they are being staged.
    """

    to: str
    attempt: int
    rows: int | None = None
    digest: str | None = None


@dataclass
class Release:
    """
    One release, as its document tells.

    :param order: ISO 8601 time that orders releases.
    :param fence: Orders the tries that open it; an older one is refused.
    :param generation: Grows with every opening after a commit or a rollback.
    :param force: Whether it may follow `base` although that is newer.
    :param base: The version clients saw when it was opened.
    :param before: While it is being committed: the version each `to` showed before.
    """

    release: str
    order: str
    fence: int | str
    generation: int = 1
    status: str = OPEN
    force: bool = False
    base: str | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    before: dict[str, str | None] | None = None

    @property
    def version(self) -> str:
        """Name of its rows in the targets: the release, and the generation after the first."""
        return self.release if self.generation == 1 else f"{self.release}~{self.generation}"

    @property
    def targets(self) -> dict[str, int]:
        """Rows by `to`."""
        rows: dict[str, int] = {}
        for part in self.parts.values():
            rows[part.to] = rows.get(part.to, 0) + (part.rows or 0)
        return rows

    def summary(self) -> dict[str, Any]:
        """What a committed release tells: JSON values. `rows` adds up all targets; `targets` has them one by one."""
        return {
            "release": self.release,
            "version": self.version,
            "order": self.order,
            "rows": sum(self.targets.values()),
            "targets": self.targets,
            "parts": {name: asdict(part) for name, part in sorted(self.parts.items())},
        }


class Ledger:
    """The documents of one release name in folder `folder`."""

    def __init__(self, folder: Path, *, patience: float) -> None:
        self.folder = folder
        self.name = folder.name
        self.patience = patience

    def current(self) -> dict[str, Any] | None:
        """What clients see (`Release.summary`, and the same of the last one under `previous`), or None."""
        return state.read(self.folder / "current.json")

    @property
    def visible(self) -> str | None:
        """Id of the release that clients see."""
        current = self.current()
        return None if current is None else str(current["release"])

    @property
    def still(self) -> str:
        """What clients see, as the end of a message about what they do not see."""
        return f"clients still see {'nothing' if self.visible is None else f'release `{self.visible}`'}"

    def flip(self, release: Release) -> None:
        """Write down that clients see `release` now."""
        current = self.current()
        if current is not None and current["version"] == release.version:
            return  # an earlier try died right after it
        if current is not None:
            current = {key: value for key, value in current.items() if key not in ("previous", "format")}
        state.write(self.folder / "current.json", {**release.summary(), "previous": current})

    def read(self, release_id: str) -> Release | None:
        """The release's document, or None."""
        document = state.read(self._path(release_id))
        if document is None:
            return None
        values = {key: value for key, value in document.items() if key != "format"}
        return Release(**{**values, "parts": {name: Part(**part) for name, part in values["parts"].items()}})

    def write(self, release: Release) -> None:
        """Replace the release's document."""
        state.write(self._path(release.release), asdict(release))

    def mark(self, release_id: str, status: str) -> None:
        """Change the status of a release."""
        with self.documents():
            release = self.read(release_id)
            assert release is not None
            release.status = status
            if status != COMMITTING:
                release.before = None
            self.write(release)

    def remove(self, release_id: str) -> None:
        """Drop the release's document."""
        self._path(release_id).unlink(missing_ok=True)

    def all(self) -> list[Release]:
        """Every release that has a document, by name."""
        names = sorted(path.stem for path in self.folder.glob("*.json"))
        found = (self.read(name) for name in names if name != "current")
        return [release for release in found if release is not None]

    @contextlib.contextmanager
    def documents(self) -> Iterator[None]:
        """Hold the lock for a read-change-write of a document. Short."""
        with state.locked(self.folder / "documents"):
            yield

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the right to open, commit or roll back a release of this name."""
        with state.locked(self.folder / "current.json"):
            yield

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """
        Hold the right to stage this part: a try that still writes finishes or dies before another begins.

        :raises Interrupted: another process kept it for longer than `patience` seconds.
        """
        deadline = time.monotonic() + self.patience
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(state.locked(self.folder / "parts" / name, wait=False))
                except Interrupted as error:
                    if time.monotonic() > deadline:
                        raise Interrupted(
                            f"part `{name}` of release `{self.name}` has been staged by another process "
                            f"for more than {self.patience:g} s",
                            hint="wait until that process ends, or end it; then run this task again",
                        ) from error
                    time.sleep(_POLL)
                else:
                    break
            yield

    @contextlib.contextmanager
    def all_parts(self, names: Collection[str]) -> Iterator[None]:
        """Hold `part` for each of `names`."""
        with contextlib.ExitStack() as stack:
            for name in sorted(names):
                stack.enter_context(self.part(name))
            yield

    def _path(self, release_id: str) -> Path:
        return self.folder / f"{release_id}.json"


def overtaken(release: Release, current: Mapping[str, Any] | None) -> bool:
    """Whether clients see a newer release, other than the one that `force` was told to go behind."""
    if current is None or current["version"] == release.version or not is_older(release.order, current["order"]):
        return False
    return not (release.force and release.base == current["version"])


def is_older(order: str, other: str) -> bool:
    """Whether the ISO 8601 time `order` is before `other`. Times without an offset are UTC."""
    return _moment(order) < _moment(other)


def is_older_fence(fence: int | str, other: int | str) -> bool:
    """Whether `fence` was given out before `other`. Numbers come before texts."""
    return _rank(fence) < _rank(other)


def _rank(fence: int | str) -> tuple[int, float, str]:
    return (1, 0, fence) if isinstance(fence, str) else (0, fence, "")


def _moment(order: str) -> datetime:
    try:
        moment = datetime.fromisoformat(order)
    except ValueError as error:
        raise ReleaseError(
            f"`order` of a release must be an ISO 8601 time, got `{order}`", hint="write, e.g., `2013-07-01T00:00:00Z`"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
