"""The protocol of a store of tables, and the types of its arguments and results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError
from airflow_wall.text.reserved import RESERVED, reserved_part

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_wall.storage.scan import Scan
    from airflow_wall.storage.staging import Staging

SLICE = "_wall_slice"
"""Hidden column: id of the slice a row belongs to; null if the row belongs to all slices (`replace_table`)."""

SOURCE = "_wall_source"
"""Hidden column: uri of the source a row was ingested from."""

WRITER = "@"
"""Sign between a slice and its writer in a shared table, e.g. `20130701T000000Z@scores.load`. No slice id has it."""

HIDDEN = (SLICE, SOURCE)
"""Columns that `read` and `schema` leave out unless asked."""

_PART = re.compile(r"[^\x00-\x1f\\/*?\[\]:]+")


@dataclass(frozen=True)
class SourceVersion:
    """
    One version of one source. A slice consists of such versions.

    :param uri: The source, e.g. `landing/domain_1/2013-07-01.csv` or `sql://warehouse/orders`.
    :param version: Its state: digest of a file, highest cursor or digest of a SQL table.
    :param size: Bytes, if the source is a file.
    :param since: If only newer rows are read, the version that they must lie above.
    :param cursor: The column that holds the values `since` and `version`.
    :param stamp: Size and time of a file, which were its version in lakes of airflow-wall before digests.
    :param moves: True if the rows of a newer version belong to the slice that reads it. Else they belong to the slice
        that took the first version.
    """

    uri: str
    version: str
    size: int | None = None
    since: str | None = None
    cursor: str | None = None
    stamp: str | None = field(default=None, compare=False)
    moves: bool = False


@dataclass(frozen=True)
class Commit:
    """
    The result of a write.

    :param version: Version of the table that holds the rows; -1 if the table does not exist and there are no rows.
    :param rows: Rows of the slice, or of the table, after the call.
    :param changed: False if an earlier try, or another process, had already committed the rows.
    :param content: Digest of the rows of the slice, or of the table; None if another process has committed other rows.
    :param corrected: Other slices that the commit changed -> the sources of which they took newer rows.
    """

    table: str
    version: int
    rows: int
    changed: bool
    content: int | None = None
    corrected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ALL = "all"
"""Name of the rows that belong to all slices: those of a table that is computed as a whole."""


@dataclass(frozen=True)
class Files:
    """
    The files of a table, for an engine that reads them itself.

    :param paths: Parquet files. A column that a file lacks is null in its rows.
    :param schema: The columns of the table, without the hidden ones.
    """

    paths: tuple[Path, ...]
    schema: pa.Schema


class Contents(Protocol):
    """Digests of the rows of one version of a table. Every commit records them, so no row is read."""

    def of(self, slices: Sequence[str] | None) -> str:
        """Return a digest of the rows that `read` returns for these slices, or "" if there are none."""
        ...

    def by_slice(self) -> dict[str, str]:
        """Return slice -> digest of its rows. The rows that belong to all slices have the name `all`."""
        ...

    def slice(self, partition: str | None) -> int:
        """Return `Commit.content` of a partition, or of the rows that belong to all slices; 0 if there are none."""
        ...


def partition_of(slice_id: str, writer: str | None) -> str:
    """Return the id of a slice in a table: the rows of a writer other than the owner are kept apart."""
    return slice_id if writer is None else f"{slice_id}{WRITER}{writer}"


def slice_in(partition: str) -> str:
    """Return the slice of a partition."""
    return partition.partition(WRITER)[0]


@dataclass(frozen=True)
class TableSummary:
    """
    A table without its rows, from the record of its files.

    :param rows: Slice -> number of its rows, with older versions of rows with a key. Rows that belong to all slices
        have the name `all`.
    :param size: Bytes of the files of the newest version.
    :param written: ISO 8601 UTC time of the newest commit; "" if its record was removed.
    """

    version: int
    rows: Mapping[str, int]
    size: int
    written: str


class TableStore(Protocol):
    """Tables below one directory. Every method raises DataError if a name is not a table name."""

    def names(self, pattern: str) -> list[str]:
        """
        Return the sorted names of the tables that match `pattern`: a name, or a pattern such as `silver/*`.

        :raises DataError: no table matches.
        """
        ...

    def tables(self) -> list[str]:
        """Return the sorted names of all tables, without those that readers do not see yet."""
        ...

    def summary(self, table: str) -> TableSummary:
        """Return rows, bytes and time of the newest version. No row is read."""
        ...

    def commits(self, table: str, limit: int) -> list[tuple[int, str, str]]:
        """Return version, time and operation of the newest commits, the newest first."""
        ...

    def exists(self, table: str) -> bool:
        """Return True if the table has been written."""
        ...

    def created_by(self, table: str) -> Mapping[str, str]:
        """Return the note that the creator of the table left in its first commit; {} if there is none, or no table."""
        ...

    def version(self, table: str) -> int:
        """
        Return the version of the newest commit.

        :raises DataError: the table does not exist; so do all methods below except the two that write.
        """
        ...

    def schema(self, table: str) -> pa.Schema:
        """Return names and types of the columns, without the hidden ones."""
        ...

    def slices(self, table: str) -> list[str]:
        """Return the sorted ids of the slices that have rows."""
        ...

    def read(
        self,
        table: str,
        *,
        slices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        hidden: bool = False,
    ) -> pa.Table:
        """
        Return rows. Equal content is always returned in the same order.

        :param slices: Only rows of these slices, and rows that belong to all slices.
        :param columns: Only these columns, in this order.
        :param where: SQL predicate on the columns of the table.
        :param hidden: Return the hidden columns too.
        :raises DataError: a column does not exist, or the predicate fails.
        """
        ...

    def scan(
        self,
        table: str,
        *,
        slices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        hidden: bool = False,
    ) -> Scan:
        """
        Return the rows that `read` returns as a query over files, in the same order. Nothing is read yet.

        :raises DataError: a column does not exist.
        """
        ...

    def files(self, table: str, *, slices: Sequence[str] | None = None) -> Files:
        """Return the files with exactly the rows that `read` returns for these slices."""
        ...

    def held_elsewhere(
        self, table: str, sources: Sequence[SourceVersion], *, slice_id: str, writer: str | None = None
    ) -> dict[SourceVersion, str]:
        """Return the source versions whose rows are in another slice -> that slice; {} if the table does not exist."""
        ...

    def contents(self, table: str) -> Contents:
        """Return the digests of a table's rows, in its newest version. There need be no such table."""
        ...

    def stage(self, table: str) -> AbstractContextManager[Staging]:
        """
        Return the staging of new rows of a table: files below its folder that no reader sees before a commit.

        At the end, files that no commit has published are deleted.
        """
        ...

    def replace_slice(
        self,
        table: str,
        data: pa.Table | Staging,
        *,
        slice_id: str,
        number: int,
        sources: Sequence[SourceVersion] = (),
        retype: bool = False,
        homes: Mapping[str, str] | None = None,
        writer: str | None = None,
        order: int | None = None,
        rejected: pa.Table | None = None,
    ) -> Commit:
        """
        Replace the rows of one slice atomically. To write a slice twice has the same effect as to write it once.

        New columns are added to the table. Rows of a source version that another slice holds are left out. Rows of a
        newer version of a source replace those of the older one in the slice that took it first, in the same commit. A
        column whose type becomes wider is converted in the same commit, with all rows of the table.

        :param data: The rows, staged or in memory. If `sources` is given, they have the column `_wall_source`.
        :param number: The slice as a number of at most 62 bits.
        :param order: Place of the slice in time, in microseconds since 1970, for a table with a key.
        :param retype: The types of the rows replace those of the table, whose rows are converted.
        :param homes: uri of a source -> the slice that took it first, for sources without rows in the table.
        :param writer: A writer that shares the table with its owner. Only its own rows of the slice are replaced.
        :param rejected: The bad rows of the same sources, for the table `<table>_rejected`. Readers see them with this
            commit, not before.
        :raises DataError: a column changed its type, or has a type that tables cannot store, or a value of the table is
            not exactly a value of the new type.
        :raises Interrupted: other writers won every race.
        """
        ...

    def drop_slice(self, table: str, slice_id: str) -> int:
        """
        Delete the rows of one slice atomically, and return their number. The run of the slice can write them again.

        :raises Interrupted: other writers won every race.
        """
        ...

    def erase(self, table: str, keep: Callable[[pa.Table], pa.Table], keep_bad: Callable[[pa.Table], pa.Table]) -> int:
        """
        Erase rows of a table and of its bad rows, and return their number. Older versions keep them until `purge`.

        :param keep: Returns the rows to keep of some rows of the table, in their order.
        :param keep_bad: The same for its bad rows.
        :raises Interrupted: other writers won every race.
        """
        ...

    def purge(self, table: str) -> None:
        """Delete the older versions of a table and of its bad rows. A task that reads one of them fails."""
        ...

    def replace_table(self, table: str, data: pa.Table | Staging) -> Commit:
        """Replace all rows and the schema atomically. The rows belong to no slice. Raises like `replace_slice`."""
        ...


def check_name(table: str) -> str:
    """
    Return a table name if it is valid: relative, with `/` between its parts, and without reserved names.

    :raises DataError: the name is not valid.
    """
    parts = table.split("/")
    if any(_PART.fullmatch(part) is None or part in {".", ".."} for part in parts):
        raise DataError(
            f"`{table}` is not a table name: it must be a path below the storage, without `..`",
            hint="write a name such as `bronze/orders`",
        )
    part = reserved_part(table)
    if part is not None:
        names = listed(RESERVED)
        raise DataError(
            f"`{table}` is not a table name: its part `{part}` is, or looks like, one of the reserved names {names}",
            hint="write a name such as `bronze/orders`",
        )
    return table
