"""
Insert many rows into a table of SQLite or Postgres, within a transaction that is open.

Each batch becomes columns of the values that the driver stores without looking at them. SQLite gets the texts that
SQLAlchemy writes. Postgres gets the integers of its binary format.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from airflow_wall.engines.duckdb import connection as duck

_INSERTED = 20_000
"""Rows of one `executemany`."""

_EPOCH_DAYS = 10_957  # from 1970 to 2000, when the dates of Postgres begin
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000

_BINARY = {
    "boolean": "bool",
    "bigint": "int8",
    "double precision": "float8",
    "text": "text",
    "bytea": "bytea",
    "numeric": "numeric",
    "timestamp without time zone": "int8",
    "timestamp with time zone": "int8",
    "time without time zone": "int8",
    "date": "int4",
}
"""Type of a column -> the type whose binary format its values are written in. Other types are written as text."""


def insert_rows(
    database: sa.Connection, table: sa.Table, first: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> None:
    """
    Insert rows.

    :param first: Values of the first columns of the table, equal in every row.
    :param batches: The other columns, by the names of the table, with the types of `rows.plain`.
    """
    names = [column.name for column in table.columns]
    if database.dialect.name == "sqlite":
        _insert_into_sqlite(database, table.name, names, first, batches)
    else:
        _copy_into_postgres(database, table.name, names, first, batches)


def _insert_into_sqlite(
    database: sa.Connection, table: str, names: Sequence[str], first: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> None:
    quote = database.dialect.identifier_preparer.quote_identifier
    columns, marks = ", ".join(map(quote, names)), ", ".join("?" for _ in names)
    statement = f"INSERT INTO {quote(table)} ({columns}) VALUES ({marks})"  # noqa: S608  # quoted
    for batch in batches:
        for start in range(0, batch.num_rows, _INSERTED):
            values = [_values(_as_sqlite(column)) for column in batch.slice(start, _INSERTED).columns]
            database.exec_driver_sql(statement, list(zip(*map(repeat, first), *values, strict=False)))


def _copy_into_postgres(
    database: sa.Connection, table: str, names: Sequence[str], first: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> None:
    quoted = duck.identifier(table)  # SQLAlchemy doubles each `%`, which `copy` does not undo
    query = sa.text(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped"
    )
    types = {str(name): str(kind) for name, kind in database.execute(query, {"name": quoted})}
    binary = all(types[name] in _BINARY for name in names)
    columns = ", ".join(map(duck.identifier, names))
    statement = f"COPY {quoted} ({columns}) FROM STDIN{' (FORMAT BINARY)' if binary else ''}"
    connection: Any = database.connection.driver_connection
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        if binary:
            copy.set_types([_BINARY[types[name]] for name in names])
        for batch in batches:
            values = [_values(_as_postgres(column)) if binary else column.to_pylist() for column in batch.columns]
            for row in zip(*map(repeat, first), *values, strict=False):
                copy.write_row(row)


def _as_sqlite(column: pa.Array[Any]) -> pa.Array[Any]:
    """Return times, dates and decimals as the text that SQLAlchemy stores in SQLite, and booleans as integers."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us")).cast(pa.string())
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.string())
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8())
    if pa.types.is_decimal(kind):
        texts = column.cast(pa.string())
        if pc.any(pc.match_substring(texts, "E")).as_py():  # 1E-7: with an exponent
            plain = (None if text is None else format(decimal.Decimal(text), "f") for text in texts.to_pylist())
            texts = pa.array(plain, pa.string())
        return texts
    return column


def _as_postgres(column: pa.Array[Any]) -> pa.Array[Any]:
    """Return times and dates as the integers of the binary format: microseconds or days since 2000."""
    kind = column.type
    try:
        if pa.types.is_timestamp(kind):
            return pc.subtract_checked(column.cast(pa.int64()), _EPOCH_MICROSECONDS)
        if pa.types.is_date(kind):
            return pc.subtract_checked(column.cast(pa.date32()).cast(pa.int32()), pa.scalar(_EPOCH_DAYS, pa.int32()))
    except pa.ArrowInvalid as error:
        raise OverflowError(str(error)) from None
    if pa.types.is_time(kind):
        return column.cast(pa.int64())
    return column


def _values(column: pa.Array[Any]) -> list[Any]:
    """Return the values as Python objects, several times as fast as `to_pylist` for numbers."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return list(column.to_pylist())
    if not column.null_count:
        return list(column.to_numpy().tolist())
    values: list[Any] = column.fill_null(0).to_numpy().tolist()
    for place in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
        values[place] = None
    return values
