"""
The documents of one release name: open releases, staged parts, and the visible release.

::

    _wall/releases/<name>/<release>.json   one release: status, fence, parts
    _wall/releases/<name>/current.json     the visible release, and the earlier ones whose rows are kept

Leases are per name, not per release, so that there are few. A process that holds several takes them in the order
`turn`, `part`, `documents`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_wall.errors import ConnectionFault, Interrupted, ReleaseError
from airflow_wall.lake.lake import Lake
from airflow_wall.lake.lease import Lease
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.targets.base import WORD, WORD_RULE, Target

OPEN = "open"
CLOSING = "closing"
COMMITTING = "committing"
COMMITTED = "committed"
ROLLED_BACK = "rolled back"
STATUSES = (OPEN, CLOSING, COMMITTING, COMMITTED, ROLLED_BACK)

KEEP = 5
"""Default number of releases whose rows are kept, with the visible one."""

FOLDER = "releases"
"""Folder of our own state that all releases are in."""

_CURRENT = "current.json"


@dataclass
class ReleasePart:
    """
    The rows that one task stages.

    :param attempt: Try number of that task.
    :param rows: Number of rows, None while they are being staged.
    :param digest: SHA-256 of the rows, None while they are being staged.
    :param selection: SQL condition by which rows of the table were selected; None for all rows.
    :param withheld: The slices that are left out, each with its table and the reason.
    """

    to: Target
    attempt: int
    rows: int | None = None
    digest: str | None = None
    selection: str | None = None
    withheld: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReleasePart:
        """Return the part of a document."""
        return cls(**{**values, "to": parse_target(values["to"])})

    def to_json(self) -> dict[str, Any]:
        """Return the part as JSON values."""
        return {**vars(self), "to": self.to.text}


@dataclass
class Release:
    """
    One release, as its document stores it.

    :param order: ISO 8601 time of the slice of the run that opened it.
    :param fence: Orders the tries that open it; an older one is refused.
    :param generation: Increases with every opening after a commit or a rollback.
    :param force: True if its parts may select other rows than those of the newer release that clients see.
    :param base: The version that clients saw when it was opened. A release for an older slice may only follow this one.
    :param keep: Number of releases whose rows are kept after its commit, with itself.
    :param before: During a commit, the version that each target showed before.
    """

    release: str
    order: str
    fence: int | str
    generation: int = 1
    status: str = OPEN
    force: bool = False
    base: str | None = None
    keep: int = KEEP
    parts: dict[str, ReleasePart] = field(default_factory=dict)
    before: dict[Target, str | None] | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Release:
        """Return the release of a document."""
        parts = {check_word("part", name): ReleasePart.from_json(part) for name, part in values["parts"].items()}
        before = values.get("before")
        shown = None if before is None else {parse_target(to): version for to, version in before.items()}
        return cls(**{**values, "parts": parts, "before": shown})

    def to_json(self) -> dict[str, Any]:
        """Return the release as JSON values."""
        before = None if self.before is None else {target.text: version for target, version in self.before.items()}
        return {**vars(self), "parts": self._parts_to_json(), "before": before}

    @property
    def version(self) -> str:
        """Name of its rows in the targets: the release, and the generation after the first."""
        return self.release if self.generation == 1 else f"{self.release}~{self.generation}"

    @property
    def targets(self) -> dict[Target, int]:
        """Number of rows by target."""
        rows: dict[Target, int] = {}
        for part in self.parts.values():
            rows[part.to] = rows.get(part.to, 0) + (part.rows or 0)
        return rows

    def summary(self) -> dict[str, Any]:
        """Return the release as JSON values. `rows` is the sum over all targets, `targets` has the rows of each."""
        return {
            "release": self.release,
            "version": self.version,
            "order": self.order,
            "rows": sum(self.targets.values()),
            "targets": {target.text: rows for target, rows in self.targets.items()},
            "parts": self._parts_to_json(),
        }

    def _parts_to_json(self) -> dict[str, Any]:
        return {name: part.to_json() for name, part in sorted(self.parts.items())}


class ReleaseLedger:
    """
    The documents of one release name.

    :param lake: The lake.
    :param name: The name.
    :param patience: Seconds to wait for another process that stages the same part.
    """

    def __init__(self, lake: Lake, name: str, *, patience: float) -> None:
        self.name = name
        self.patience = patience
        self._documents = lake.documents(FOLDER, name)
        self._leases = lake.leases(FOLDER, name)
        self._held: dict[str, Lease] = {}

    def current(self) -> dict[str, Any] | None:
        """
        Return the visible release, or None if there is none.

        :return: `Release.summary`, and `previous` (the release to which a rollback goes, or None), `history` (see
            `history_of`), `rolled_back` (see `rolled_back`), and `pending`: a rollback that has begun.
        """
        return self._documents.get(_CURRENT)

    def rolled_back(self, release_id: str) -> dict[str, Any] | None:
        """Return `version`, `at` and `reason` of the rollback of a committed release, or None."""
        current = self.current()
        record = (current or {}).get("rolled_back", {}).get(release_id)
        return None if record is None else dict(record)

    @property
    def visible(self) -> str | None:
        """Id of the release that clients see, or None."""
        current = self.current()
        return None if current is None else str(current["release"])

    @property
    def still_visible(self) -> str:
        """The end of an error message, which names the release that clients still see."""
        return f"clients still see {'nothing' if self.visible is None else f'release `{self.visible}`'}"

    def flip(self, release: Release) -> None:
        """Record that clients now see `release`."""
        current = self.current()
        if current is not None and current["version"] == release.version:
            return  # an earlier try died right after this step
        order = release.order if current is None else newest(release.order, current["order"])
        entry = {**release.summary(), "order": order, "at": now()}
        earlier = [entry for entry in history_of(current) if "rolled_back" not in entry]
        self.show(entry, [entry, *earlier][: release.keep], (current or {}).get("rolled_back", {}))

    def show(
        self, entry: Mapping[str, Any], history: Sequence[Mapping[str, Any]], rolled_back: Mapping[str, Any]
    ) -> None:
        """Record that clients now see `entry`, one of `history`. This also ends a pending rollback."""
        place = [other["version"] for other in history].index(entry["version"])
        before = next((other for other in history[place + 1 :] if "rolled_back" not in other), None)
        document = {**entry, "previous": before, "history": [*history], "rolled_back": dict(rolled_back)}
        self._write_current(document)

    def recount(self, count: Callable[[Target, str], Mapping[str, int]]) -> None:
        """
        Record the present numbers of rows of kept and open releases, after some were erased. Hold the turn.

        :param count: Returns the rows by part that a target has of a version.
        """
        current = self.current()
        if current is not None:
            history = [_recounted(entry, count) for entry in history_of(current)]
            entry = next(entry for entry in history if entry["version"] == current["version"])
            self.show(entry, history, current.get("rolled_back", {}))
        with self.documents():
            for release in self.all():
                for name, part in release.parts.items():
                    if part.rows is not None:
                        part.rows = count(part.to, release.version).get(name, 0)
                self.write(release)

    def set_pending(self, rollback: Mapping[str, Any] | None) -> None:
        """Record that a rollback has begun, or that it has been given up."""
        current = self.current()
        assert current is not None
        document = {key: value for key, value in current.items() if key != "pending"}
        self._write_current(document if rollback is None else {**document, "pending": rollback})

    def allow(self, release_id: str) -> None:
        """Record that a release that was rolled back may be committed again."""
        current = self.current()
        assert current is not None
        rolled_back = {key: value for key, value in current["rolled_back"].items() if key != release_id}
        self._write_current({**current, "rolled_back": rolled_back})

    def read(self, release_id: str) -> Release | None:
        """
        Return the release from its document, or None if there is none.

        :raises ReleaseError: the document is not valid, or belongs to another release.
        """
        values = self._documents.get(_key(release_id))
        if values is None:
            return None
        try:
            release = Release.from_json(values)
            is_counted = release.generation >= 1 and release.keep >= 1
            if release.release != release_id or release.status not in STATUSES or not is_counted:
                raise ValueError(
                    f"it has release {release.release!r}, status {release.status!r}, "
                    f"generation {release.generation!r}, keep {release.keep!r}"
                )
        except (TypeError, ValueError, AttributeError, KeyError, ConnectionFault, ReleaseError) as error:
            hint = "restore it from a backup, or remove it and clear the run from `start_sender` on"
            message = (
                f"`{self._documents.uri(_key(release_id))}` is not a valid document of release `{release_id}`: {error}"
            )
            raise ReleaseError(message, hint=hint) from None
        return release

    def write(self, release: Release) -> None:
        """Replace the release's document."""
        with self.documents() as lease:
            self._documents.write(_key(release.release), release.to_json(), lease)

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
        """Delete the release's document."""
        self._documents.delete(_key(release_id))

    def all(self) -> list[Release]:
        """Return every release that has a document, sorted by id. A committed one may have none."""
        keys = (key for key in self._documents.below() if "/" not in key and key != _CURRENT)
        releases = (self.read(key.removesuffix(".json")) for key in keys)
        return [release for release in releases if release is not None]

    @contextlib.contextmanager
    def documents(self) -> Iterator[Lease]:
        """Hold the lease for a short read-modify-write of a document."""
        with self._hold("documents") as lease:
            yield lease

    @contextlib.contextmanager
    def turn(self) -> Iterator[Lease]:
        """Hold the right to open, commit or roll back a release of this name."""
        with self._hold(_CURRENT) as lease:  # in a folder, older versions of airflow-wall lock the same file
            yield lease

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """
        Hold the right to stage this part, so that a try that still writes finishes or dies before another one starts.

        :raises Interrupted: another process holds it for longer than `patience` seconds.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._leases.hold(f"parts/{name}", patience=self.patience))
            except Interrupted as error:
                raise Interrupted(
                    f"another process has been staging part `{name}` of release `{self.name}` "
                    f"for more than {self.patience:g} s",
                    hint="wait until that process ends, or end it; then run this task again",
                ) from error
            yield

    @contextlib.contextmanager
    def all_parts(self, names: Collection[str]) -> Iterator[None]:
        """Hold `part` for each name in `names`."""
        with contextlib.ExitStack() as stack:
            for name in sorted(names):
                stack.enter_context(self.part(name))
            yield

    @contextlib.contextmanager
    def _hold(self, key: str) -> Iterator[Lease]:
        """Hold a lease that this object may hold already."""
        if key in self._held:
            yield self._held[key]
            return
        with self._leases.hold(key) as lease:
            self._held[key] = lease
            try:
                yield lease
            finally:
                del self._held[key]

    def _write_current(self, document: Mapping[str, Any]) -> None:
        with self.turn() as lease:
            self._documents.write(_CURRENT, document, lease)


def _key(release_id: str) -> str:
    return f"{release_id}.json"


def history_of(current: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """
    Return the releases whose rows are kept, the newest commit first; one of them is visible.

    :return: Each has the values of `Release.summary`, `at` (the time of its commit, if known), and, if a person rolled
        it back, `rolled_back` with `at` and `reason`.
    """
    if current is None:
        return []
    if "history" in current:
        return [dict(entry) for entry in current["history"]]
    entries = [current, current.get("previous")]  # an older airflow-wall kept two
    names = ("release", "version", "order", "rows", "targets", "parts")
    return [{name: entry[name] for name in names} for entry in entries if entry is not None]


def _recounted(entry: Mapping[str, Any], count: Callable[[Target, str], Mapping[str, int]]) -> dict[str, Any]:
    counted = {to: count(parse_target(to), entry["version"]) for to in entry["targets"]}
    parts = {name: {**part, "rows": counted[part["to"]].get(name, 0)} for name, part in entry["parts"].items()}
    targets = {to: sum(rows.values()) for to, rows in counted.items()}
    return {**entry, "parts": parts, "targets": targets, "rows": sum(targets.values())}


def now() -> str:
    """Return the present time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_word(key: str, text: str, *, reserved: Collection[str] = ()) -> str:
    """
    Return `text` if it is safe as a file name.

    :param key: The key of the text, for the message.
    :raises ReleaseError: it is not, or is reserved.
    """
    if text in reserved:
        raise ReleaseError(f"`{key}` must not be `{text}`: the name is reserved", hint=f"choose another `{key}`")
    if not WORD.fullmatch(text):
        raise ReleaseError(f"`{key}` must be {WORD_RULE}, got `{text}`", hint=f"choose another `{key}`")
    return text


def is_overtaken(release: Release, current: Mapping[str, Any] | None) -> bool:
    """Return True if clients see a release of a newer slice that was not there when this one was opened."""
    if current is None or current["version"] == release.version or not is_older(release.order, current["order"]):
        return False
    return release.base != str(current["version"])


def newest(order: str, other: str) -> str:
    """Return the later one of two ISO 8601 times."""
    return other if is_older(order, other) else order


def is_older(order: str, other: str) -> bool:
    """Return True if the ISO 8601 time `order` is before `other`. Times without an offset are UTC."""
    return _parse_time(order) < _parse_time(other)


def is_older_fence(fence: int | str, other: int | str) -> bool:
    """Return True if `fence` is older than `other`. Numbers come before texts."""
    return _rank(fence) < _rank(other)


def _rank(fence: int | str) -> tuple[int, float, str]:
    return (1, 0, fence) if isinstance(fence, str) else (0, fence, "")


def _parse_time(order: str) -> datetime:
    try:
        moment = datetime.fromisoformat(order)
    except ValueError as error:
        raise ReleaseError(
            f"`order` of a release must be an ISO 8601 time, got `{order}`", hint="write, e.g., `2013-07-01T00:00:00Z`"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
