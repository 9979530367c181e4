"""
A SQL table as a source: `sql://connection/table`, whole, or by a cursor only the rows that are new.

With a cursor a version is the highest value found (`id=42`), and its rows are those above the last one processed.
Without one the version is the number of rows and a digest of them, which costs a read of the table: it is for tables
that are small.
"""

from __future__ import annotations

import datetime
import decimal
import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy
from sqlalchemy import types

from airflow_wall.connections import Connections
from airflow_wall.databases import sql_engine
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.jobs.document import Run
from airflow_wall.jobs.sources import sql_parts
from airflow_wall.storage.base import SourceVersion

_CHUNK = 20_000
_LISTED = 12

_READ: dict[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    decimal.Decimal: decimal.Decimal,
    datetime.date: datetime.date.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
}


def sql_source(source: str, cursor: str | None, run: Run, connections: Connections) -> SqlSource:
    """
    Return the table that a source means, after its server has answered.

    :raises DataError: the source is no `sql://connection/table`, or there is no such table or cursor column.
    :raises ConnectionFault: the connection is not there, or its server refused.
    """
    parts = sql_parts(source)
    engine = sql_engine(connections(parts["connection"]), project=run.project)
    try:
        table = sqlalchemy.Table(parts["table"], sqlalchemy.MetaData(), schema=parts["schema"], autoload_with=engine)
    except sqlalchemy.exc.NoSuchTableError:
        raise _no_table(engine, source, parts["table"], parts["schema"]) from None
    if cursor is not None and cursor not in table.columns:
        near = difflib.get_close_matches(cursor, table.columns.keys(), n=1)
        raise DataError(
            f"`cursor`: `{source}` has no column `{cursor}` (it has: {', '.join(table.columns.keys())})",
            hint=f"did you mean `{near[0]}`?" if near else None,
        )
    if cursor is not None and _python_type(table.columns[cursor]) not in _READ:
        raise DataError(
            f"`cursor`: column `{cursor}` of `{source}` has type `{table.columns[cursor].type}`, which has no order",
            hint="name a column of numbers or times that only grow",
        )
    return SqlSource(source, table, cursor, engine)


@dataclass(frozen=True)
class SqlSource:
    """
    :param text: The source as the YAML writes it; also its uri.
    :param cursor: Column whose new values are higher than all before, or None.
    """

    text: str
    table: sqlalchemy.Table
    cursor: str | None
    engine: sqlalchemy.Engine

    @property
    def uri(self) -> str:
        """The name of the source in a table."""
        return self.text

    def newest(self, processed: Sequence[str]) -> SourceVersion | None:
        """
        Return the version that is there now, or None where it has been processed.

        :param processed: Versions that are processed.
        """
        if self.cursor is None:
            version = self.whole(self.read(None))
            return None if version.version in processed else version
        column = self.table.columns[self.cursor]
        # Versions of another cursor, or of the table as a whole, say nothing about this one.
        own = [version for version in processed if version.startswith(f"{self.cursor}=")]
        since = max((self._value(version) for version in own), default=None)
        query = sqlalchemy.select(sqlalchemy.func.max(column))
        with self._errors(), self.engine.connect() as database:
            highest = database.execute(query if since is None else query.where(column > since)).scalar()
        if highest is None:
            return None
        before = None if since is None else self._version(since)
        return SourceVersion(self.uri, self._version(highest), since=before, cursor=self.cursor)

    def whole(self, rows: pa.Table) -> SourceVersion:
        """Return the version that all rows of the table are: their number, and a digest whatever their order."""
        total = 0
        for row in _rows(rows):
            total += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=8).digest(), "big")
        return SourceVersion(self.uri, f"{rows.num_rows}-{total % 2**64:016x}")

    def read(self, version: SourceVersion | None) -> pa.Table:
        """
        Return the rows of a version that has a cursor, else all that are there, in types that depend on no value.

        :raises DataError: a value is not of its column's type.
        """
        query = sqlalchemy.select(self.table)
        if version is not None and version.cursor is not None:
            column = self.table.columns[version.cursor]
            query = query.where(column <= self._value(version.version)).order_by(column)
            if version.since is not None:
                query = query.where(column > self._value(version.since))
        schema = pa.schema([(column.name, arrow_type(column.type)) for column in self.table.columns])
        with self._errors(), self.engine.connect() as database:
            found = database.execution_options(yield_per=_CHUNK).execute(query)
            batches = [self._batch(rows, schema) for rows in found.partitions()]
        return pa.Table.from_batches(batches, schema)

    def _batch(self, rows: Sequence[sqlalchemy.Row[Any]], schema: pa.Schema) -> pa.RecordBatch:
        columns = [
            self._column([row[place] for row in rows], field.name, field.type) for place, field in enumerate(schema)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _column(self, values: list[Any], name: str, wanted: pa.DataType) -> pa.Array[Any]:
        if pa.types.is_string(wanted):
            values = [value if value is None or isinstance(value, str) else _plain_text(value) for value in values]
        try:
            return pa.array(values, wanted)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            bad = next(value for value in values if not _fits(value, wanted))
            raise DataError(
                f"`source` `{self.text}`: column `{name}` is of type `{self.table.columns[name].type}`, "
                f"and one of its values is `{bad!r}`",
                hint="mend the value or the type of the column",
            ) from None

    def _version(self, value: Any) -> str:
        text = value.isoformat() if isinstance(value, datetime.date) else str(value)
        return f"{self.cursor}={text}"

    def _value(self, version: str) -> Any:
        kind = _python_type(self.table.columns[str(self.cursor)])
        return _READ[kind](version.removeprefix(f"{self.cursor}="))

    def _errors(self) -> _ServerErrors:
        return _ServerErrors(self.text)


class _ServerErrors:
    """Turns what the server says into an error that names the source."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            reason = str(getattr(error, "orig", None) or error).strip()
            raise ConnectionFault(f"`source` `{self._source}` could not be read: {reason}") from error
        if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException):
            # SQLite keeps any text in a column of times, and its driver cannot tell which column that was.
            raise DataError(
                f"`source` `{self._source}` holds a value that is not of its column's type: {error}"
            ) from error


def arrow_type(found: types.TypeEngine[Any]) -> pa.DataType:
    """Return the type that a table holds a column of a SQL type in; text where there is no better one."""
    if isinstance(found, types.Boolean):
        return pa.bool_()
    if isinstance(found, types.Integer):
        return pa.int64()
    if isinstance(found, types.Float):
        return pa.float64()
    if isinstance(found, types.Numeric):
        exact = found.precision is not None and found.precision <= 38
        return pa.decimal128(found.precision or 38, found.scale or 0) if exact else pa.float64()
    if isinstance(found, types.DateTime):
        return pa.timestamp("us", tz="UTC" if found.timezone else None)
    if isinstance(found, types.Date):
        return pa.date32()
    return pa.binary() if isinstance(found, types.LargeBinary) else pa.string()


def _rows(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in rows.to_batches(max_chunksize=_CHUNK):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _python_type(column: sqlalchemy.Column[Any]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return object


def _plain_text(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def _fits(value: Any, wanted: pa.DataType) -> bool:
    try:
        pa.array([value], wanted)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return False
    return True


def _no_table(engine: sqlalchemy.Engine, source: str, table: str, schema: str | None) -> DataError:
    inspector = sqlalchemy.inspect(engine)
    names = sorted([*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)])
    near = difflib.get_close_matches(table, names, n=1)
    listed = ", ".join(f"`{name}`" for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return DataError(
        f"`source` `{source}`: the database has no table `{table}`; it has {listed or 'none'}",
        hint=f"did you mean `{near[0]}`?" if near else "create it, or correct the name",
    )
