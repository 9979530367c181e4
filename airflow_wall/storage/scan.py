"""
Rows of a table as a query over its Parquet files, so that no more of them than needed is in memory.

DuckDB reads the files in the order of their list and keeps that order, unless a query sorts, joins or groups.
"""

from __future__ import annotations

import glob
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.errors import DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import HIDDEN, SLICE, slice_in

FILE, ROW = "_wall_file", "_wall_row"
"""Columns with the place of a row: the index of its file, and its number in the file."""

_VIRTUAL = ("file_index", "file_row_number")
"""Columns that DuckDB adds to each Parquet file, if it has none of that name."""

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class RowKey:
    """
    The key of a table. Of several versions of a row, a reader gets the newest.

    Every version stays in its slice. A version is newer if its column `order_by` is greater, else if its slice is
    later, else if it comes later in its slice. So a slice that is written again never brings an older version back.

    :param columns: Columns that identify a row.
    :param order_by: Column that is greater in a newer version of a row; None if the later delivery is newer.
    """

    columns: tuple[str, ...]
    order_by: str | None = None


@dataclass(frozen=True)
class DataFile:
    """
    A Parquet file of a table.

    :param key: Its key in the lake.
    :param partition: The slice of its rows, with the writer in a shared table; None if they belong to all slices.
    :param sources: The first and the last of their sources, if it is known.
    """

    lake: Lake
    key: str
    partition: str | None
    rows: int
    sources: tuple[str, str] | None = None

    @property
    def path(self) -> Path:
        """The file on this machine. A file of a bucket is copied first."""
        return self.lake.local_copy(self.key)


@dataclass(frozen=True)
class Scan:
    """
    Rows of one version of a table. Nothing is read before a method is called.

    :param table: The table, for messages.
    :param files: Its files, in the order of the rows.
    :param stored: All columns of the table, with the hidden ones.
    :param columns: The columns to return, in this order.
    :param where: An author's SQL condition on the columns.
    :param key: The key of the table, if a reader gets only the newest version of each row.
    :param orders: Partition to its place in time, for a table with a key.
    """

    table: str
    files: tuple[DataFile, ...]
    stored: pa.Schema
    columns: tuple[str, ...]
    where: str | None = None
    key: RowKey | None = None
    orders: Mapping[str | None, int] | None = None

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns that are returned."""
        return pa.schema([self.stored.field(name) for name in self.columns])

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that the rows are read from."""
        return tuple(file.path for file in self.files)

    def relation(self, database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """
        Return the rows as a relation of a connection. Stream them by `to_arrow_reader()`, or register it as an input.

        Before a query of an author reads it, call `duck.seal(database, scan.paths)`.

        :raises DataError: `where` is not a condition on the columns.
        """
        query = self._selection(database)
        with self._where_errors():
            return database.sql(query)

    def write(self, path: Path) -> None:
        """Write the rows into a Parquet file, which appears at once."""
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with self._connect() as database:
            query = self._selection(database)
            database.execute(f"COPY ({query}) TO {duck.literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
        part.replace(path)

    def _selection(self, database: duckdb.DuckDBPyConnection) -> str:
        """Return the SQL of the rows."""
        rows = self.query(database)
        if self.key is not None:
            rows = f"SELECT * FROM ({rows}) QUALIFY {self._is_newest(self.key)}"  # noqa: S608  # quoted
        if self.where is not None:
            rows = f"SELECT * FROM ({rows}) AS rows WHERE ({self.where}\n)"  # noqa: S608  # one query, see below
        if self.key is not None or self.where is not None:
            rows = f"{rows} ORDER BY {FILE}, {ROW}"
        query = f"SELECT {', '.join(map(duck.identifier, self.columns))} FROM ({rows})"  # noqa: S608
        if self.where is not None:
            with self._where_errors():
                condition = f"SELECT 1 WHERE ({self.where}\n)"
                if (others := duck.describe_other_statements(database, condition)) is not None:
                    raise duckdb.ParserException(f"it turns the query into {others}")
        return query

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, so that only a few of them are in memory."""
        schema = self.schema
        if not schema.names:
            return
        with self._connect() as database:
            relation = self.relation(database)
            self._seal(database)
            with self._where_errors():
                for batch in relation.to_arrow_reader(rows):
                    yield batch.cast(schema)

    def first(self, limit: int) -> list[dict[str, Any]]:
        """Return the first rows as Python values."""
        with self._connect() as database:
            relation = self.relation(database).limit(limit)
            self._seal(database)
            with self._where_errors():
                rows: list[dict[str, Any]] = relation.to_arrow_table().cast(self.schema).to_pylist()
        return rows

    def to_table(self) -> pa.Table:
        """Return all rows in memory."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def count(self) -> int:
        """Return the number of rows. For most tables it is known without reading."""
        if self.key is None and self.where is None:
            return sum(file.rows for file in self.files)
        with self._connect() as database:
            relation = self.relation(database)
            self._seal(database)
            with self._where_errors():
                return int(relation.count("*").fetchall()[0][0])

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return duck.shared() if self.where is None else duck.connect()

    def _seal(self, database: duckdb.DuckDBPyConnection) -> None:
        """Restrict the condition of an author to the files of the rows."""
        if self.where is not None:
            duck.seal(database, self.paths)

    def query(self, database: duckdb.DuckDBPyConnection) -> str:
        """Return the SQL of all stored columns and the place of each row."""
        if not self.files:
            nulls = ", ".join(f"{_null(field)} AS {duck.identifier(field.name)}" for field in self.stored)
            return f"SELECT {nulls}, 0 AS {FILE}, 0 AS {ROW} WHERE false"  # quoted
        names = {field.name.lower() for field in self.stored}
        if names.isdisjoint(_VIRTUAL):
            source = _read([file.path for file in self.files])
            present = database.sql(f"SELECT * FROM {source} LIMIT 0").to_arrow_table().schema  # noqa: S608
            source = f"(SELECT *, CAST(file_index AS BIGINT) AS {FILE}, file_row_number AS {ROW} FROM {source})"  # noqa: S608
        else:
            parts = [
                f"SELECT *, {place}::BIGINT AS {FILE}, row_number() OVER () AS {ROW} FROM {_read([file.path])}"  # noqa: S608
                for place, file in enumerate(self.files)
            ]
            source = f"({' UNION ALL BY NAME '.join(parts)})"
            present = database.sql(f"SELECT * FROM {source} LIMIT 0").to_arrow_table().schema  # noqa: S608
        types = {field.name.lower(): field.type for field in present}
        selected = ", ".join(f"{self._column(field, types)} AS {duck.identifier(field.name)}" for field in self.stored)
        return f"SELECT {selected}, {FILE}, {ROW} FROM {source}"  # noqa: S608  # quoted

    def _column(self, field: pa.Field[pa.DataType], types: Mapping[str, pa.DataType]) -> str:
        if field.name == SLICE:
            slices = [None if file.partition is None else slice_in(file.partition) for file in self.files]
            return f"list_extract({_texts(slices)}, {FILE} + 1)"
        type_ = types.get(field.name.lower())
        if type_ is None:
            return _null(field)
        name = duck.identifier(field.name)
        return name if type_ == field.type else f"CAST({name} AS {type_name(field.type)})"

    def _is_newest(self, key: RowKey) -> str:
        orders = [(self.orders or {}).get(file.partition, 0) for file in self.files] or [0]
        newest = [] if key.order_by is None else [f"{duck.identifier(key.order_by)} DESC NULLS LAST"]
        newest += [f"list_extract({duck.value(orders)}, {FILE} + 1) DESC", f"{FILE} DESC", f"{ROW} DESC"]
        columns = ", ".join(map(duck.identifier, key.columns))
        return f"row_number() OVER (PARTITION BY {columns} ORDER BY {', '.join(newest)}) = 1"

    @contextmanager
    def _where_errors(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            if self.where is None:
                raise
            names = [name for name in self.stored.names if name not in HIDDEN]
            raise DataError(
                f"`{self.where}` must be a SQL condition on table `{self.table}`: {duck.reason(error)}",
                hint=f"use its columns: {listed(names)}",
            ) from error


def _read(paths: Sequence[Path]) -> str:
    names = duck.value([glob.escape(str(path)) for path in paths])
    return f"read_parquet({names}, union_by_name = true, hive_partitioning = false)"


def _null(field: pa.Field[pa.DataType]) -> str:
    return f"CAST(NULL AS {type_name(field.type)})"


def _texts(texts: Sequence[str | None]) -> str:
    return "[" + ", ".join("NULL" if text is None else duck.literal(text) for text in texts) + "]::VARCHAR[]"
