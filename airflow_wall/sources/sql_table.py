"""
A SQL table as a source: `sql://connection/table`, as a whole, or with a cursor only its new rows.

With a cursor, a version is the highest value and a number of rows (`id=42#3`, see `cursors`). Without one, the version
is the number of rows and a digest of them. This costs a read of the table, so it suits small tables.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import mysql

from airflow_wall.connections.databases import sql_engine
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.sources.cursors import Cursor, Mark
from airflow_wall.sources.delivery import Delivery, Rules, type_rows
from airflow_wall.sources.kinds.base import Listing, LoadedRows, OpenSource, SourceSite
from airflow_wall.sources.kinds.sql import SqlSource
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import Processed

_CHUNK = 20_000


def open_sql_table(source: SqlSource, cursor: str | None, lag: str | float | None, site: SourceSite) -> OpenSqlTable:
    """
    Return the table of a source, after its server has answered.

    :raises DataError: the table or the cursor column does not exist, or `lag` does not suit it.
    :raises ConnectionFault: the connection does not exist, or its server refused it.
    """
    if lag is not None and cursor is None:
        raise DataError("`lag` is for a source with `cursor`", hint="add `cursor`, or remove `lag`")
    engine = sql_engine(site.connections(source.connection), project=site.run.project)
    try:
        table = sqlalchemy.Table(source.table, sqlalchemy.MetaData(), schema=source.schema, autoload_with=engine)
    except sqlalchemy.exc.NoSuchTableError:
        raise _no_table(engine, source) from None
    if cursor is None:
        return OpenSqlTable(source, table, None, engine)
    if cursor not in table.columns:
        columns = table.columns.keys()
        raise DataError(
            f"`cursor` must be a column of `{source.text}`, got `{cursor}`; it has {listed(columns)}",
            hint=did_you_mean(cursor, columns) or "name one of its columns",
        )
    return OpenSqlTable(source, table, Cursor(source.text, table.columns[cursor], lag, engine.dialect.name), engine)


@dataclass(frozen=True)
class OpenSqlTable(OpenSource):
    """
    A SQL table in one run. The text of the source is also its uri.

    :param cursor: The cursor, or None to read the whole table.
    """

    source: SqlSource
    table: sqlalchemy.Table
    cursor: Cursor | None
    engine: sqlalchemy.Engine

    @property
    def identity(self) -> str:
        """The text and the cursor."""
        return f"{self.uri}\0{self.cursor.name if self.cursor else ''}"

    @property
    def uri(self) -> str:
        """The name of the source in the tables of the lake."""
        return self.source.text

    def find_new(self, processed: Processed) -> Listing:
        """Return the current version, unless it has been processed."""
        done = processed.latest if self.cursor is None else processed.versions
        before = [version for uri, version in done if uri == self.uri]
        new = self.newest(before)
        return Listing(() if new is None else (new,), len(before))

    def read(self, versions: Sequence[SourceVersion], rules: Rules) -> LoadedRows:
        """Return the rows of the version. Without a cursor it may be newer than the claimed one."""
        if not versions:
            return LoadedRows([], Delivery(rules.staging.raw, rules.contract))
        whole = _Whole()
        batches = self.batches(versions[0])
        rows = batches if self.cursor is not None else whole.count(batches)
        delivery = type_rows(pa.RecordBatchReader.from_batches(self.schema, rows), self.uri, rules)
        version = versions[0] if self.cursor is not None else whole.version(self.uri)
        return LoadedRows([version], replace(delivery, warnings=(*delivery.warnings, *self._warnings())))

    def newest(self, processed: Sequence[str]) -> SourceVersion | None:
        """
        Return the current version, or None if it has been processed.

        :param processed: Versions that have been processed.
        """
        if self.cursor is None:
            whole = _Whole()
            collections.deque(whole.count(self.batches(None)), maxlen=0)
            version = whole.version(self.uri)
            return None if version.version in processed else version
        cursor, column = self.cursor, self.table.columns[self.cursor.name]
        last = cursor.last(processed)
        present = sqlalchemy.select(column).where(column.is_not(None))
        with self._errors(), self.engine.connect() as database:
            highest = database.execute(present.order_by(cursor.order.desc()).limit(1)).scalar()
            lowest = database.execute(present.order_by(cursor.order).limit(1)).scalar()
            if highest is None:
                return None
            cursor.check([lowest, highest])
            top = highest if last is None else max(highest, last.value)
            counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(self.table).where(cursor.not_before(top))
            mark = Mark(top, database.execute(counted).scalar_one())
        if cursor.is_done(mark, processed):
            return None
        since = None if last is None else cursor.version(last)
        return SourceVersion(self.uri, cursor.version(mark), since=since, cursor=cursor.name)

    @property
    def schema(self) -> pa.Schema:
        """The columns. Their types do not depend on the values."""
        return pa.schema([(column.name, arrow_type(column.type)) for column in self.table.columns])

    def batches(self, version: SourceVersion | None) -> Iterator[pa.RecordBatch]:
        """
        Yield the rows of a version with a cursor, else all rows.

        :raises DataError: a value does not fit the type of its column.
        """
        columns = [_selected(column, self.engine.dialect.name) for column in self.table.columns]
        query = sqlalchemy.select(*columns)
        if version is not None and self.cursor is not None:
            query = query.where(self.cursor.not_after(self.cursor.mark(version.version).value))
            query = query.order_by(self.cursor.order)
            if version.since is not None:
                query = query.where(self.cursor.not_before(self.cursor.mark(version.since).value))
        schema = self.schema
        with self._errors(), self.engine.connect() as database:
            result = database.execution_options(yield_per=_CHUNK).execute(query)
            for rows in result.partitions():
                batch = self._batch(rows, schema)
                if self.cursor is not None:
                    self.cursor.check(batch.column(self.cursor.name).drop_null().to_pylist())
                yield batch

    def _warnings(self) -> list[str]:
        """Return the warning about rows without a value of the cursor, which no version holds."""
        if self.cursor is None:
            return []
        column = self.table.columns[self.cursor.name]
        query = sqlalchemy.select(sqlalchemy.func.count()).select_from(self.table).where(column.is_(None))
        with self._errors(), self.engine.connect() as database:
            count = database.execute(query).scalar_one()
        rows = "row has" if count == 1 else "rows have"
        return (
            [f"`source` `{self.uri}`: {count} {rows} no `{self.cursor.name}`, and cannot be read by it"]
            if count
            else []
        )

    def _batch(self, rows: Sequence[sqlalchemy.Row[Any]], schema: pa.Schema) -> pa.RecordBatch:
        columns = [
            self._column([row[place] for row in rows], field.name, field.type) for place, field in enumerate(schema)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _column(self, values: list[Any], name: str, type_: pa.DataType) -> pa.Array[Any]:
        if pa.types.is_string(type_):
            values = [value if value is None or isinstance(value, str) else _plain_text(value) for value in values]
        elif pa.types.is_decimal(type_):
            values = [decimal.Decimal(repr(value)) if isinstance(value, float) else value for value in values]
        try:
            return pa.array(values, type_)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            bad = next(value for value in values if not _fits(value, type_))
            got = str(bad) if isinstance(bad, decimal.Decimal) else repr(bad)
            raise DataError(
                f"`source` `{self.uri}`: column `{name}` must be `{self.table.columns[name].type}`, got `{got}`",
                hint="correct the value or the type of the column",
            ) from None

    def _errors(self) -> _ServerErrors:
        return _ServerErrors(self.uri)


class _ServerErrors:
    """Context manager that turns errors of the server into errors that name the source."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlalchemy.exc.DataError):
            reason = str(error.orig).strip()
            raise DataError(
                f"`source` `{self._source}` holds a value that cannot be read: {reason}",
                hint="replace it in a view, e.g. `SELECT NULLIF(valid_to, 'infinity') AS valid_to, ...`, and name the "
                "view in `source`",
            ) from error
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            reason = str(getattr(error, "orig", None) or error).strip()
            raise ConnectionFault(
                f"`source` `{self._source}` could not be read: {reason}",
                hint="correct the connection, or the permissions of its login",
            ) from error
        if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException):
            # SQLite stores any text in a column of times, and its driver does not name the column.
            raise DataError(
                f"`source` `{self._source}` holds a value that does not fit the type of its column: {error}",
                hint="correct the value or the type of the column",
            ) from error


def arrow_type(type_: types.TypeEngine[Any]) -> pa.DataType:
    """
    Return the type in which a table stores a column of a SQL type; other types are stored as text.

    A `NUMERIC` without precision is one of them, because no other type holds all of its values exactly.
    """
    if isinstance(type_, types.Boolean):
        return pa.bool_()
    if isinstance(type_, mysql.BIGINT) and type_.unsigned:
        return pa.decimal128(20)
    if isinstance(type_, mysql.BIT):
        return pa.decimal128(20) if type_.length == 64 else pa.int64()
    if isinstance(type_, types.Integer | mysql.YEAR):
        return pa.int64()
    if isinstance(type_, types.Float):
        return pa.float64()
    if isinstance(type_, types.Numeric):
        exact = type_.precision is not None and type_.precision <= 38
        return pa.decimal128(type_.precision or 38, type_.scale or 0) if exact else pa.string()
    if isinstance(type_, types.DateTime):
        is_zoned = type_.timezone or isinstance(type_, mysql.TIMESTAMP)  # which the session reads in UTC
        return pa.timestamp("us", tz="UTC" if is_zoned else None)
    if isinstance(type_, types.Date):
        return pa.date32()
    return pa.binary() if isinstance(type_, types.LargeBinary) else pa.string()


def _selected(column: sqlalchemy.Column[Any], dialect: str) -> Any:
    """Return the expression that selects a column without a loss of digits by its driver."""
    type_ = column.type
    if isinstance(type_, types.Float):  # MySQL's would come as decimals of ten digits
        return sqlalchemy.type_coerce(column, types.Float(asdecimal=False)).label(column.name)
    if isinstance(type_, types.Numeric):
        # SQLAlchemy would format the numbers of SQLite with the scale of the column.
        return sqlalchemy.type_coerce(column, types.String()).label(column.name) if dialect == "sqlite" else column
    if isinstance(type_, mysql.BIT):
        return sqlalchemy.cast(column, mysql.INTEGER(unsigned=True)).label(column.name)
    if isinstance(type_, mysql.SET):
        return sqlalchemy.cast(column, types.Text).label(column.name)
    if dialect == "sqlite" or not pa.types.is_string(arrow_type(type_)) or isinstance(type_, types.String):
        return column
    text = sqlalchemy.func.array_to_json(column) if isinstance(type_, types.ARRAY) else column
    return sqlalchemy.cast(text, types.Text).label(column.name)


class _Whole:
    """The version of a whole table: the number of its rows, and a digest that ignores their order."""

    def __init__(self) -> None:
        self._rows = self._total = 0

    def count(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of rows again, and count them."""
        for batch in batches:
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                digest = hashlib.blake2b(repr(row).encode(), digest_size=8).digest()
                self._total += int.from_bytes(digest, "big")
            self._rows += batch.num_rows
            yield batch

    def version(self, uri: str) -> SourceVersion:
        """Return the version of the rows that were counted."""
        return SourceVersion(uri, f"{self._rows}-{self._total % 2**64:016x}", moves=True)


def _plain_text(value: Any) -> str:
    if isinstance(value, float):
        value = decimal.Decimal(repr(value))
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.time):
        return value.isoformat()
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def _fits(value: Any, type_: pa.DataType) -> bool:
    try:
        pa.array([value], type_)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return False
    return True


def _no_table(engine: sqlalchemy.Engine, source: SqlSource) -> DataError:
    inspector = sqlalchemy.inspect(engine)
    views = inspector.get_view_names(schema=source.schema)
    names = sorted([*inspector.get_table_names(schema=source.schema), *views])
    return DataError(
        f"`source` `{source.text}`: the database has no table `{source.table}`; it has {listed(names) or 'none'}",
        hint=did_you_mean(source.table, names) or "create it, or correct the name",
    )
