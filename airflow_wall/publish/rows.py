"""Rows of a part as a stream of batches: check their key, measure them, and convert them to plain values."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.digests import RowDigest
from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError

_SHOWN = 3

Batches = Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class RowStream:
    """
    Rows that are read in batches, from the beginning by each call of `batches`, so that memory never holds them all.

    :param schema: Names and types of the columns.
    :param read: Returns the batches with some columns; None means all columns. Each call returns the same rows.
    """

    schema: pa.Schema
    read: Batches

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Return the batches with some columns; None means all columns."""
        return self.read(columns)

    def to_table(self) -> pa.Table:
        """Return all rows in memory."""
        return pa.Table.from_batches(self.batches(), self.schema)

    @classmethod
    def of(cls, rows: pa.Table) -> RowStream:
        """Return the stream of rows that are in memory."""

        def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
            return iter((rows if columns is None else rows.select(list(columns))).to_batches())

        return cls(rows.schema, read)


class MeasuredRows:
    """Rows whose number and digest are taken while a target reads them, so that they are not read once more."""

    def __init__(self, rows: RowStream) -> None:
        self._rows = rows
        self._result: tuple[int, str] | None = None
        self.stream = RowStream(rows.schema, self._read)

    def result(self) -> tuple[int, str]:
        """Return number and digest. The rows are read now unless the stream has been read to its end."""
        if self._result is None:
            for _ in self.stream.batches():
                pass
        assert self._result is not None
        return self._result

    def _read(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        if columns is not None:
            yield from self._rows.batches(columns)
            return
        rows, digest = 0, RowDigest(self._rows.schema)
        for batch in self._rows.batches():
            rows += batch.num_rows
            digest.add(batch)
            yield batch
        self._result = rows, digest.hexdigest()


def check_key(rows: RowStream, key: Sequence[str], *, where: str = "the data") -> None:
    """
    Check that the columns of `key` exist, hold no nulls, and are unique together.

    :raises DataError: the message names `key`, the columns, and the first wrong values.
    """
    missing = [name for name in key if name not in rows.schema.names]
    if missing:
        raise DataError(
            f"`key` names {listed(missing)}, but {where} has the columns {listed(rows.schema.names)}",
            hint="use these columns in `key`, or add the missing ones in the transform",
        )
    if not key:
        return
    names = [f"k{place}" for place in range(len(key))]
    marks = f"hash({', '.join(names)})"
    total, nulls = 0, dict.fromkeys(key, 0)
    with duck.shared() as database:
        database.execute("CREATE TEMP TABLE marks (mark UBIGINT)")
        for batch in rows.batches(key):
            total += batch.num_rows
            for name in key:
                nulls[name] += batch.column(name).null_count
            database.register("batch", plain(batch).rename_columns(names))
            database.execute(f"INSERT INTO marks SELECT {marks} FROM batch")  # noqa: S608  # names of our own
        for name in key:
            if nulls[name]:
                raise DataError(
                    f"`key`: column `{name}` is null in {nulls[name]} of {total} rows",
                    hint="drop these rows in the transform, or use another `key`",
                )
        database.execute("CREATE TEMP TABLE double_marks AS SELECT mark FROM marks GROUP BY mark HAVING count(*) > 1")
        if not database.execute("SELECT count(*) FROM double_marks").fetchall()[0][0]:
            return
        repeated = _repeated_keys(rows, key, database)
    if repeated.num_rows:
        first = [
            "(" + ", ".join(f"{name}={render(value)}" for name, value in zip(key, row.values(), strict=True)) + ")"
            for row in repeated.slice(0, _SHOWN).to_pylist()
        ]
        more = f" and {repeated.num_rows - _SHOWN} more" if repeated.num_rows > _SHOWN else ""
        raise DataError(
            f"`key` {listed(key)} must be unique, but {', '.join(first)}{more} occur in more than one row",
            hint="remove the duplicates in the transform, or add a column to `key`",
        )


def _repeated_keys(rows: RowStream, key: Sequence[str], database: Any) -> pa.Table:
    """Return the sorted keys that occur in more than one row. Two keys with one mark in `double_marks` may differ."""
    names = [f"k{place}" for place in range(len(key))]
    marks = f"hash({', '.join(names)})"
    into = "CREATE TEMP TABLE repeated AS"
    for batch in rows.batches(key):
        database.register("batch", plain(batch).rename_columns(names))
        database.execute(f"{into} SELECT * FROM batch WHERE {marks} IN (FROM double_marks)")  # noqa: S608
        into = "INSERT INTO repeated"
    listed_names = ", ".join(names)
    query = f"SELECT {listed_names} FROM repeated GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL"  # noqa: S608
    repeated: pa.Table = database.sql(query).to_arrow_table()
    return repeated


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows with dictionaries decoded and times in microseconds; times with a zone are in UTC."""
    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        elif pa.types.is_time(kind):
            column = column.cast(pa.time64("us"), safe=False)
        elif pa.types.is_float16(kind):
            column = column.cast(pa.float32())
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of `plain`."""
    return plain(pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema.names)).schema


def json_values(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield each row as JSON values: times in ISO 8601, decimals as text, bytes in hex, NaN and infinity as null."""
    for row in plain(batch).to_pylist():
        yield {name: _json_value(value) for name, value in row.items()}


def line(values: Any) -> str:
    """Return `values` as one line of JSON; the same values give the same line."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def render(value: Any) -> str:
    """Return a value as searchable text: `2013-07-01 05:00:00`, `EWR`, `7`."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    return str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _json_value(item) for name, item in value.items()}
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
