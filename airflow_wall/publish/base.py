"""
What a place must be able to do to take part in a release.

Every row that is staged belongs to a *version* (one generation of one release) and a *part* (what one task staged).
Readers see the version that a *pointer* names. Committing moves pointers and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from airflow_wall.connections import Connections
from airflow_wall.errors import ReleaseError


@dataclass(frozen=True)
class Site:
    """
    What a backend may know of the release it serves.

    :param name: Name of the release: the owner of the tables, indexes and folders it has made.
    :param state: Folder of our own state of this release name.
    :param storage: The lake; published files lie in `<storage>/published`.
    :param project: Folder that relative paths of connections are under.
    """

    name: str
    state: Path
    storage: Path
    project: Path
    connections: Connections = field(repr=False)


@dataclass(frozen=True)
class Rows:
    """
    The rows of one part.

    :param data: Any number of rows; plain column types (a backend may refuse nested ones).
    :param key: Columns that tell rows apart, checked to be there, not null and unique; may be empty.
    :param options: Keys of the step that only this backend knows, e.g. `format`.
    """

    data: pa.Table
    key: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class Place(Protocol):
    """Where pointers move in one step: a database, a folder, an endpoint."""

    @property
    def reversible(self) -> bool:
        """Whether `show` can be taken back by another `show`. What cannot is committed last."""
        ...

    def shown(self, pointer: str) -> str | None:
        """The version that readers of `pointer` see, or None."""
        ...

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Have each pointer name its version (None: nothing), all in one step. Repeating it changes nothing."""
        ...


class Target(Protocol):
    """One table, index, folder or endpoint of a release."""

    @property
    def place(self) -> Place:
        """Where its pointer is. Targets with the same place are committed together."""
        ...

    @property
    def pointer(self) -> str:
        """Name of its pointer in `place`."""
        ...

    def stage(self, version: str, part: str, rows: Rows) -> None:
        """Replace the rows of `part` in `version` by `rows`, in one step, unseen by readers."""
        ...

    def discard(self, version: str, part: str) -> None:
        """Drop the rows of `part` in `version`, if there are any."""
        ...

    def count(self, version: str) -> dict[str, int]:
        """Number of rows that lie here in `version`, by part."""
        ...

    def forget(self, keep: Collection[str]) -> None:
        """Drop every version but those of `keep` and the one that readers see."""
        ...


def check_options(options: Mapping[str, Any], known: Sequence[str], to: str) -> None:
    """
    Refuse options that the backend of `to` does not know.

    :raises ReleaseError: names the first of them and the known ones.
    """
    for option in options:
        if option not in known:
            accepted = f"it knows {', '.join(f'`{name}`' for name in known)}" if known else "it knows none"
            raise ReleaseError(f"`{option}` is no option of `{to}`; {accepted}", hint=f"remove `{option}`")
