"""What a store of tables can do, whatever it is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from airflow_wall.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SLICE = "_wall_slice"
"""Hidden column: id of the slice a row belongs to; null where the row belongs to all of them (`replace_table`)."""

SOURCE = "_wall_source"
"""Hidden column: uri of the source a row was ingested from."""

HIDDEN = (SLICE, SOURCE)
"""Columns that `read` and `schema` leave out unless asked."""

STATE = "_wall"
"""Folder of the lake that holds our own state and no tables."""

_PART = re.compile(r"[^\x00-\x1f\\/*?\[\]:]+")


@dataclass(frozen=True)
class SourceVersion:
    """
    One version of one source: what a slice is about.

    :param uri: The source, e.g. `landing/domain_1/2013-07-01.csv` or `sql://warehouse/orders`.
    :param version: Which state of it: for a file its size and time, for SQL the highest cursor or a digest.
    :param size: Bytes, where the source is a file.
    :param since: The version that rows must lie above, where only newer rows are read.
    :param cursor: The column that `since` and `version` are values of.
    """

    uri: str
    version: str
    size: int | None = None
    since: str | None = None
    cursor: str | None = None


@dataclass(frozen=True)
class Commit:
    """
    What became of a write.

    :param version: Version of the table that holds the rows; -1 where there was nothing to write and no table yet.
    :param rows: Rows of the slice, or of the table, after the call.
    :param changed: False where an earlier try, or another process, had already committed it.
    """

    table: str
    version: int
    rows: int
    changed: bool


@dataclass(frozen=True)
class Files:
    """
    Where the rows of a table are, for an engine that reads them itself.

    :param paths: Parquet files. A column that one does not have is null in its rows.
    :param schema: The columns of the table, without the hidden ones.
    """

    paths: tuple[Path, ...]
    schema: pa.Schema


class TableStore(Protocol):
    """Tables under one folder. Every method raises DataError where a name is no table name."""

    def names(self, pattern: str) -> list[str]:
        """
        Return the sorted names of the tables that `pattern` matches: a name, or a pattern such as `silver/*`.

        :raises DataError: there is none.
        """
        ...

    def exists(self, table: str) -> bool:
        """Return whether the table has been written."""
        ...

    def version(self, table: str) -> int:
        """
        Return the version of the newest commit.

        :raises DataError: there is no such table; so do all methods below except the two that write.
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
        Return rows, in an order that is the same whenever the content is.

        :param slices: Only rows of these slices, and rows that belong to all.
        :param columns: Only these columns, in this order.
        :param where: SQL predicate on the columns of the table.
        :param hidden: Whether to return the hidden columns too.
        :raises DataError: there is no such column, or the predicate fails.
        """
        ...

    def files(self, table: str, *, slices: Sequence[str] | None = None) -> Files:
        """Return the files that hold the rows, and no others, which `read` gives of these slices."""
        ...

    def held_elsewhere(self, table: str, sources: Sequence[SourceVersion], *, slice_id: str) -> list[SourceVersion]:
        """Return those source versions whose rows stand in another slice of the table; none if there is no table."""
        ...

    def replace_slice(
        self,
        table: str,
        data: pa.Table,
        *,
        slice_id: str,
        number: int,
        sources: Sequence[SourceVersion] = (),
    ) -> Commit:
        """
        Replace the rows of one slice in one atomic step; the same slice twice leaves the rows of one.

        New columns are added to the table. Rows of a source version that another slice holds are left out; rows of
        an older version of a source are removed from the slices that hold them, in the same step.

        :param data: The rows; with `sources` they have the column `_wall_source`.
        :param number: The slice as a number of at most 62 bits.
        :raises DataError: a column changed its type, or has a type that no table holds.
        :raises Interrupted: other writers won every race.
        """
        ...

    def replace_table(self, table: str, data: pa.Table) -> Commit:
        """Replace all rows and the schema in one atomic step; the rows belong to no slice. Raises as above."""
        ...


def check_name(table: str) -> str:
    """
    Return the name of a table if it is one: relative, `/` between its parts, and not in our own folder.

    :raises DataError: it is not.
    """
    parts = table.split("/")
    if any(_PART.fullmatch(part) is None or part in {".", ".."} for part in parts) or parts[0] == STATE:
        raise DataError(
            f"`{table}` is no table name: it must be a path below the storage, without `..`, outside `{STATE}`",
            hint="write a name such as `bronze/orders`",
        )
    return table
