"""
Rows on their way into a table: Parquet files below its folder, which readers do not see until a commit names them.

Rows stream from a query into a file, so memory holds only a few row groups of them. A file keeps their order.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
from deltalake.transaction import AddAction

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import HIDDEN, SLICE
from airflow_wall.storage.columns import check_names, checked_type
from airflow_wall.storage.scan import FILE, ROW, DataFile, Scan

_LONGEST = 64
"""Characters of the longest text that the statistics of a file have."""


@dataclass(frozen=True)
class StagedSlice:
    """
    Staged rows of one slice.

    :param schema: Their columns, without `_wall_slice`. A column of untyped nulls has the null type.
    :param files: Their files, in the order of the rows.
    :param nulls: Number of nulls by column.
    """

    schema: pa.Schema
    files: tuple[DataFile, ...]
    nulls: Mapping[str, int]
    actions: tuple[AddAction, ...]

    def of(self, partition: str | None) -> StagedSlice:
        """Return the same rows as rows of another slice. Their files stay where they are."""
        files = tuple(replace(file, partition=partition) for file in self.files)
        actions = tuple(replace(action, partition_values={SLICE: partition}) for action in self.actions)
        return replace(self, files=files, actions=actions)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(file.rows for file in self.files)

    @property
    def scan(self) -> Scan:
        """The rows as a query."""
        return Scan("staged", self.files, typed(self.schema), tuple(self.schema.names))

    def values(self, column: str) -> pa.Array[Any]:
        """Return the different values of a column, without null."""
        with duck.shared() as database:
            name = duck.identifier(column)
            query = f"SELECT DISTINCT {name} FROM ({self.scan.query(database)}) WHERE {name} IS NOT NULL"  # noqa: S608
            values: pa.Array[Any] = database.sql(query).to_arrow_table().column(0).combine_chunks()
        return values

    def count_by(self, column: str) -> dict[str, int]:
        """Return value of a column -> number of its rows."""
        with duck.shared() as database:
            name = duck.identifier(column)
            query = f"SELECT {name}, count(*) FROM ({self.scan.query(database)}) GROUP BY ALL"  # noqa: S608
            return dict(database.sql(query).fetchall())


class Staging:
    """
    The staged files of one writer.

    `raw` are the rows as they were given; without columns as long as there are none.

    The folder `area` on this machine is this writer's own; a sealed connection must be able to write there. In a lake
    in a folder it is below the folder of the table. Files for a bucket are uploaded before the commit that names them.

    :param key: The folder of the table in the lake.
    """

    def __init__(self, lake: Lake, key: str) -> None:
        self._lake = lake
        self._key = key
        self._folder = f"data/{uuid.uuid4().hex}"
        self.area = lake.local_path(f"{key}/{self._folder}")
        self._count = 0
        self.raw = StagedSlice(pa.schema([]), (), {}, ())
        self.is_tried = False
        self.published: set[str] = set()
        self._uploaded: set[str] = set()

    @functools.cached_property
    def database(self) -> duckdb.DuckDBPyConnection:
        """A connection for queries over staged files."""
        return duck.shared()

    def stage(self, database: duckdb.DuckDBPyConnection, query: str, *, table: str) -> StagedSlice:
        """
        Write the rows of a query in the types that tables store.

        :param query: A SELECT. It runs on this connection, which may be sealed.
        :param table: The table, for messages.
        :raises DataError: a name occurs twice, or a type cannot be stored, e.g. a time of day.
        """
        given = database.sql(f"SELECT * FROM ({query}) LIMIT 0").to_arrow_table().schema  # noqa: S608
        check_names(database.sql(query).columns, table=table)  # of a subquery, DuckDB renames equal ones
        fields = [pa.field(field.name, checked_type(field, table)) for field in given if field.name != SLICE]
        selected = [_stored(given.field(field.name), field.type) for field in fields]
        wanted = ", ".join(selected)
        self.raw = self.write(database, f"SELECT {wanted} FROM ({query})", pa.schema(fields), None)  # noqa: S608
        return self.raw

    def stage_table(self, rows: pa.Table, *, table: str) -> StagedSlice:
        """Write rows that are in memory. See `stage`."""
        if not rows.column_names:
            return self.raw
        check_names(rows.column_names, table=table)
        stored = [pa.field(field.name, checked_type(field, table)) for field in rows.schema]
        self.database.register("_wall_given", rows.cast(pa.schema(stored), safe=False))
        return self.stage(self.database, "SELECT * FROM _wall_given", table=table)

    def put(self, rows: pa.Table, partition: str | None) -> StagedSlice:
        """Write rows of a table that are in memory into a file of a slice."""
        self.database.register("_wall_given", rows)
        return self.write(self.database, "SELECT * FROM _wall_given", rows.schema, partition)

    def leave_out(self, column: str, values: pa.Array[Any]) -> StagedSlice:
        """Write the given rows again, without those that have one of some values in a column."""
        if len(values):
            name = duck.identifier(column)
            self.database.register("_wall_left_out", pa.table({"value": values}))
            rows = f"SELECT * FROM ({self.raw.scan.query(self.database)}) AS given"  # noqa: S608  # quoted
            others = f"NOT EXISTS (FROM _wall_left_out WHERE value = given.{name}) ORDER BY {FILE}, {ROW}"
            names = ", ".join(map(duck.identifier, self.raw.schema.names))
            self.raw = self.write(self.database, f"SELECT {names} FROM ({rows} WHERE {others})", self.raw.schema, None)  # noqa: S608
        return self.raw

    def write(
        self, database: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema, partition: str | None
    ) -> StagedSlice:
        """
        Write the rows of a query into a file of a slice.

        :param query: A SELECT of the columns of the schema.
        :param partition: The slice, with the writer in a shared table; None for rows of all slices.
        """
        if not schema.names:
            return StagedSlice(schema, (), {}, ())
        self.area.mkdir(parents=True, exist_ok=True)
        name = f"{self._folder}/part-{self._count:05}-{self.area.name}.parquet"
        key = f"{self._key}/{name}"
        path = self._lake.local_path(key)
        self._count += 1
        copied = f"COPY ({query}) TO {duck.literal(str(path))} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS)"
        _, rows, size, _, columns, *_ = database.sql(copied).fetchall()[0]
        stats = {name: columns.get(duck.identifier(name), {}) for name in schema.names}
        nulls = {name: int(values.get("null_count", 0)) for name, values in stats.items()}
        if not rows:
            path.unlink()
            return StagedSlice(schema, (), nulls, ())
        action = AddAction(
            name,
            int(size),
            {SLICE: partition},
            int(time.time() * 1000),
            True,
            json.dumps(_statistics(int(rows), schema, stats)),
        )
        return StagedSlice(schema, (DataFile(self._lake, key, partition, int(rows)),), nulls, (action,))

    def upload(self, parts: Sequence[StagedSlice]) -> None:
        """Copy the files of parts to the bucket of the lake, if it is in one."""
        if self._lake.folder is None:
            for file in (file for part in parts for file in part.files):
                if file.key not in self._uploaded:
                    self._uploaded.add(file.key)
                    self._lake.objects.upload(file.key, file.path)

    def clean(self) -> None:
        """Close the connection, and delete the files that no commit has published."""
        self.database.close()
        for key in self._uploaded - self.published:
            self._lake.objects.delete(key)
        for path in self.area.glob("*"):
            if f"{self._key}/{self._folder}/{path.name}" not in self.published:
                path.unlink(missing_ok=True)
        for folder in (self.area, self.area.parent, self.area.parent.parent):
            with suppress(OSError):  # it does not exist, or has other files
                folder.rmdir()


def content_of(database: duckdb.DuckDBPyConnection, part: StagedSlice) -> int:
    """
    Return a digest of the visible columns of ordered rows, as a number that is 0 only if there are no rows.

    A column without values counts as a missing one: a table adds it when another slice brings it.
    """
    if not part.rows:
        return 0
    names = [name for name in part.schema.names if name not in HIDDEN and part.nulls[name] < part.rows]
    return digest(database, part.scan, sorted(names))


def has_value(database: duckdb.DuckDBPyConnection, scan: Scan, columns: Sequence[str]) -> bool:
    """Return True if one of some columns has a value that is not null."""
    counts = " + ".join(f"count({duck.identifier(name)})" for name in columns)
    return bool(database.sql(f"SELECT {counts} FROM ({scan.query(database)})").fetchall()[0][0])  # noqa: S608


def digest(database: duckdb.DuckDBPyConnection, scan: Scan, columns: Sequence[str], *more: str) -> int:
    """
    Return a digest of ordered rows, as a number that is never 0.

    Each row is hashed with its place. The hashes are added up, so threads hash at once, and no row stays in memory.

    :param more: Texts to add to the digest, e.g. the origin of the rows.
    """
    total: tuple[Any, ...] = (0, 0, 0)
    if scan.files and columns:
        starts = [0]
        for file in scan.files:
            starts.append(starts[-1] + file.rows)
        place = f"list_extract({duck.value(starts)}, {FILE} + 1) + {ROW}"
        values = ", ".join(_hashed(scan.stored.field(name)) for name in columns)
        rows = f"SELECT hash({values}, {place}) AS h FROM ({scan.query(database)})"  # noqa: S608  # quoted
        total = database.sql(f"SELECT bit_xor(h), sum(h), count(*) FROM ({rows})").fetchall()[0]  # noqa: S608
    names = [f"{name}\0{type_name(scan.stored.field(name).type)}" for name in columns]
    text = "\0".join([*names, *map(str, total), *more])
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16) or 1


def _hashed(field: pa.Field[pa.DataType]) -> str:
    name = duck.identifier(field.name)
    return f"{name}, signbit({name})" if pa.types.is_floating(field.type) else name  # 0.0 and -0.0 have one hash


def typed(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the type in which files store a column of untyped nulls."""
    return pa.schema(
        [pa.field(field.name, pa.int32() if pa.types.is_null(field.type) else field.type) for field in schema]
    )


def _stored(given: pa.Field[pa.DataType], type_: pa.DataType) -> str:
    name = duck.identifier(given.name)
    if isinstance(given.type, pa.TimestampType) and given.type.unit == "ns" and not given.type.tz:
        # Nanoseconds are truncated to microseconds, as by every other reader of the table.
        return f"make_timestamp(epoch_ns({name}) // 1000) AS {name}"
    sql = "INTEGER" if pa.types.is_null(type_) else type_name(type_)
    return f"CAST({name} AS {sql}) AS {name}"


def _statistics(rows: int, schema: pa.Schema, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the statistics of a file as Delta records them. Only exact and short values are recorded."""
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    for field in schema:
        values = columns[field.name]
        is_exact = values.get("min_is_exact") == values.get("max_is_exact") == "true"
        is_plain = pa.types.is_integer(field.type) or pa.types.is_string(field.type)
        if not is_exact or not is_plain or max(len(values["min"]), len(values["max"])) > _LONGEST:
            continue
        kind = int if pa.types.is_integer(field.type) else str
        lows[field.name], highs[field.name] = kind(values["min"]), kind(values["max"])
    nulls = {
        field.name: int(columns[field.name]["null_count"])
        for field in schema
        if "null_count" in columns[field.name] and not pa.types.is_struct(field.type)  # Delta counts those by member
    }
    return {"numRecords": rows, "minValues": lows, "maxValues": highs, "nullCount": nulls}
