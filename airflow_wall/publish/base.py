"""
The interface of what writes the rows of a target of releases.

Every staged row belongs to a *version* (one generation of one release) and a *part* (the rows that one task stages).
Readers see the version that a *pointer* names. A commit only moves pointers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from airflow_wall.connections.info import Connections
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ReleaseError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.targets.base import Target

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_wall.publish.database import Database
    from airflow_wall.publish.rows import RowStream


RESENT = "~resent-"
"""Sign in the name of a version whose rows are sent again to a target that cannot take rows back."""


@dataclass(frozen=True)
class ReleaseSite:
    """
    The parts of a release that a target uses.

    :param name: Name of the release, which owns the tables, indexes and directories it has created.
    :param lake: The lake, which holds the state of releases and published files.
    :param project: Base directory of relative paths in connections.
    :param connections: Returns an Airflow connection by id.
    :param databases: The open databases by connection.
    """

    name: str
    lake: Lake
    project: Path
    connections: Connections = field(repr=False)
    databases: dict[str, Database] = field(default_factory=dict, repr=False, compare=False)

    def database(self, conn_id: str) -> Database:
        """
        Return the database of a connection. All targets of the connection share it, so their pointers move together.

        :raises ConnectionFault: the connection is missing, holds no SQL tables, or is refused.
        """
        if conn_id not in self.databases:
            from airflow_wall.publish.database import Database  # imports SQLAlchemy

            database = Database(self.connections(conn_id), project=self.project, owner=self.name)
            self.databases[conn_id] = database
            database.prepare()
        return self.databases[conn_id]


@dataclass(frozen=True)
class StagedRows:
    """
    The rows of one part.

    :param rows: Any number of rows, with plain column types; a target may refuse nested ones. Their `batches` keep few
        rows in memory.
    :param key: Columns that identify a row, checked to exist, to be not null and to be unique; may be empty.
    :param options: Keys of the step that only this target accepts, e.g. `format`.
    :param comments: Column -> its meaning, for people; None -> the meaning of the table. Some targets show them.
    """

    rows: RowStream
    key: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    comments: Mapping[str | None, str] = field(default_factory=dict)

    @property
    def data(self) -> pa.Table:
        """All rows in memory, for targets of few rows."""
        return self.rows.to_table()


class PointerStore(Protocol):
    """A database, directory or endpoint whose pointers move in one step."""

    @property
    def reversible(self) -> bool:
        """True if another `show` can undo `show`. Targets that cannot undo it are committed last."""
        ...

    def shown(self, pointer: str) -> str | None:
        """Return the version that readers of `pointer` see, or None."""
        ...

    def show(self, moves: Mapping[str, str | None]) -> None:
        """Set each pointer to its version (None: nothing), all in one step. Repeating it changes nothing."""
        ...


class TargetWriter(Protocol):
    """Writes one table, index, directory or endpoint of a release."""

    @property
    def place(self) -> PointerStore:
        """The store of its pointer. Targets with the same store are committed together."""
        ...

    @property
    def pointer(self) -> str:
        """Name of its pointer in `place`."""
        ...

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Replace the rows of `part` in `version` by `rows`, in one step and invisible to readers."""
        ...

    def discard(self, version: str, part: str) -> None:
        """Delete the rows of `part` in `version`, if any."""
        ...

    def count(self, version: str) -> dict[str, int]:
        """Return the number of stored rows of `version` by part."""
        ...

    def forget(self, keep: Collection[str]) -> None:
        """Delete every version except those in `keep` and the visible one."""
        ...


@runtime_checkable
class Resender(Protocol):
    """A `TargetWriter` that cannot take rows back, but can send those of an earlier version again."""

    def copy(self, version: str, again: str) -> None:
        """Store the rows of a version once more under the name `again`, for a later `show`."""
        ...


@runtime_checkable
class RowEraser(Protocol):
    """A `TargetWriter` that can erase the rows of a person."""

    def erase(self, column: str, values: Collection[str]) -> int:
        """
        Erase the rows of all versions in which a column has one of these values, and return their number.

        :param values: The values as text.
        """
        ...


def check_options(options: Mapping[str, Any], accepted: Sequence[str], target: Target) -> None:
    """
    Check that the target accepts all options.

    :raises ReleaseError: names the first unknown option and the accepted ones.
    """
    for option in options:
        if option not in accepted:
            raise ReleaseError(
                f"`{option}` is not an option of `{target}`; it accepts {listed(accepted) or 'none'}",
                hint=did_you_mean(option, accepted) or f"remove `{option}`",
            )
