"""
`sql://CONN/TABLE`: a view that shows one version of the rows.

Rows of all versions lie in `<table>__releases`; the view `<table>` shows those whose `_release` the pointer names. So a
commit moves one value, and a reader at any isolation level sees the whole of a release: renaming, truncating or making
a view anew at that moment showed empty tables to readers of REPEATABLE READ.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateIndex, DDLElement
from sqlalchemy.sql import quoted_name

from airflow_wall.errors import DataError, ReleaseError
from airflow_wall.publish.address import Address
from airflow_wall.publish.base import Rows, check_options
from airflow_wall.publish.database import POINTERS, Database, shown
from airflow_wall.publish.rows import plain

RESERVED = ("_release", "_part")
"""Columns that we add."""

_MOST_BYTES = 63  # of a name in Postgres


class SqlTarget:
    """
    One published table.

    :param address: Its `to`.
    :param place: Its database.
    """

    def __init__(self, address: Address, place: Database) -> None:
        self.address = address
        self.place = place
        self.pointer = _quoted(address.name)
        self._store = _quoted(f"{address.name}__releases")

    def stage(self, version: str, part: str, rows: Rows) -> None:
        """Replace the rows of the part in one transaction; columns that are new are added first."""
        check_options(rows.options, (), self.address.to)
        data = plain(rows.data)
        columns = self._columns(data.schema)
        with self.place.define() as database:
            table = self._prepare(database, columns)
        values = data.to_pylist()
        for row, decimal in ((row, name) for name in self._as_text(data.schema) for row in values):
            row[decimal] = None if row[decimal] is None else format(row[decimal], "f")
        with self.place.write() as database:
            database.execute(sa.delete(table).where(table.c._release == version, table.c._part == part))
            if values:
                database.execute(sa.insert(table), [{"_release": version, "_part": part, **row} for row in values])

    def discard(self, version: str, part: str) -> None:
        """Drop the rows of the part."""
        with self.place.write() as database:
            if (table := self._found(database)) is not None:
                database.execute(sa.delete(table).where(table.c._release == version, table.c._part == part))

    def count(self, version: str) -> dict[str, int]:
        """Rows by part."""
        with self.place.read() as database:
            if (table := self._found(database)) is None:
                return {}
            query = sa.select(table.c._part, sa.func.count()).where(table.c._release == version).group_by(table.c._part)
            return {part: int(rows) for part, rows in database.execute(query)}

    def forget(self, keep: Collection[str]) -> None:
        """Drop the rows of other versions."""
        with self.place.write() as database:
            if (table := self._found(database)) is None:
                return
            kept = {*keep, shown(database, self.pointer)} - {None}
            database.execute(sa.delete(table).where(table.c._release.not_in(kept)))

    def _found(self, database: sa.Connection) -> sa.Table | None:
        if not sa.inspect(database).has_table(self._store):
            return None
        return sa.Table(self._store, sa.MetaData(), sa.Column("_release", sa.Text), sa.Column("_part", sa.Text))

    def _prepare(self, database: sa.Connection, columns: list[sa.Column[Any]]) -> sa.Table:
        """Have the store with at least `columns`, and the view over all it has."""
        inspector = sa.inspect(database)
        views, tables = inspector.get_view_names(), inspector.get_table_names()
        self._check_ours(inspector, views, tables)
        self.place.claim(database, self.pointer)
        table = sa.Table(
            self._store, sa.MetaData(), *(sa.Column(n, sa.Text, nullable=False) for n in RESERVED), *columns
        )
        if self._store not in tables:
            table.create(database)
            database.execute(CreateIndex(sa.Index(f"{self._store}_part", table.c._release, table.c._part)))
            names = [column.name for column in columns]
        else:
            names = self._widen(database, inspector, columns)
        if self.pointer not in views or len(names) > len(inspector.get_columns(self.pointer)):
            if database.dialect.name == "sqlite":
                database.execute(DropView(self.pointer))
            database.execute(CreateView(self.pointer, self._shown_rows(names)))
        return table

    def _check_ours(self, inspector: sa.Inspector, views: list[str], tables: list[str]) -> None:
        foreign = None
        if self._store in tables:
            if not {*RESERVED} <= {column["name"] for column in inspector.get_columns(self._store)}:
                foreign = f"table `{self._store}`"
        elif self.pointer in views:
            foreign = f"view `{self.pointer}`"
        if self.pointer in tables:
            foreign = f"table `{self.pointer}`"
        if foreign:
            raise ReleaseError(
                f"`to`: connection `{self.place.conn_id}` has a {foreign} that is not a release's; it is left as it is",
                hint="name another table in `to`, or rename that one",
            )

    def _widen(self, database: sa.Connection, inspector: sa.Inspector, columns: list[sa.Column[Any]]) -> list[str]:
        there = {column["name"]: column["type"] for column in inspector.get_columns(self._store)}
        for column in columns:
            if column.name not in there:
                database.execute(AddColumn(self._store, column))
            elif isinstance(column.type, _Nothing):
                column.type = there[column.name]  # Postgres wants even nulls of the right type
            elif not _holds(there[column.name], column.type):
                raise DataError(
                    f"`to`: column `{column.name}` of `{self.pointer}` in connection `{self.place.conn_id}` holds "
                    f"{_family(there[column.name])}, the data have {_family(column.type)}",
                    hint="cast the column in the transform, or publish to a new table",
                )
        added = [column.name for column in columns if column.name not in there]
        return [name for name in there if name not in RESERVED] + added

    def _shown_rows(self, names: list[str]) -> sa.Select[Any]:
        store = sa.table(self._store, sa.column("_release"), *(sa.column(_quoted(name)) for name in names))
        release = sa.select(POINTERS.c.release).where(POINTERS.c.table == self.pointer).scalar_subquery()
        return sa.select(*(store.c[name] for name in names)).where(store.c._release == release)

    def _columns(self, schema: pa.Schema) -> list[sa.Column[Any]]:
        seen: set[str] = set()
        for name in schema.names:
            if name in RESERVED or name.lower() in seen:
                why = "is a name that releases use themselves" if name in RESERVED else "is there twice"
                raise DataError(f"`{self.address.to}`: column `{name}` {why}", hint="rename it in the transform")
            if not name.isprintable() or not 0 < len(name.encode()) <= _MOST_BYTES:
                raise DataError(
                    f"`{self.address.to}`: column {name!r} is no name for SQL: 1 to {_MOST_BYTES} printable bytes",
                    hint="rename it in the transform",
                )
            seen.add(name.lower())
        if not seen:
            raise DataError(f"`{self.address.to}`: the data have no columns", hint="mend the transform")
        return [sa.Column(_quoted(field.name), self._type(field)) for field in schema]

    def _type(self, field: pa.Field[Any]) -> sa.types.TypeEngine[Any]:
        if self.place.dialect.name == "sqlite":  # it has floats only, and no zones: those times are UTC
            if pa.types.is_decimal(field.type):
                return sa.Text()
            if pa.types.is_timestamp(field.type):
                return sa.DateTime()
        for matches, kind in _TYPES:
            if matches(field.type):
                return kind
        raise DataError(
            f"`{self.address.to}`: column `{field.name}` has type `{field.type}`, which no SQL column holds",
            hint="turn it into text or into plain columns in the transform",
        )

    def _as_text(self, schema: pa.Schema) -> list[str]:
        return [f.name for f in schema if pa.types.is_decimal(f.type) and self.place.dialect.name == "sqlite"]


def _quoted(name: str) -> quoted_name:
    """A name that is always quoted: SQLAlchemy's list of SQLite's words lacks some, e.g. `nothing`."""
    return quoted_name(name, quote=True)


class _Nothing(sa.Text):
    """Type of a column that is null in every row: it fits any column that is there."""


_TYPES: tuple[tuple[Any, sa.types.TypeEngine[Any]], ...] = (
    (pa.types.is_boolean, sa.Boolean()),
    (pa.types.is_integer, sa.BigInteger()),
    (pa.types.is_floating, sa.Double()),
    (
        lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind),
        sa.Text(),
    ),
    (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, sa.DateTime(timezone=True)),
    (pa.types.is_timestamp, sa.DateTime()),
    (pa.types.is_date, sa.Date()),
    (pa.types.is_time, sa.Time()),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind), sa.LargeBinary()),
    (pa.types.is_decimal, sa.Numeric()),
    (pa.types.is_null, _Nothing()),
)

_FAMILIES: tuple[tuple[type[Any], str], ...] = (
    (sa.Boolean, "booleans"),
    (sa.Integer, "whole numbers"),
    (sa.Double, "floats"),
    (sa.Numeric, "decimals"),
    (sa.String, "text"),
    (sa.DateTime, "times"),
    (sa.Date, "dates"),
    (sa.Time, "times of day"),
    (sa.LargeBinary, "bytes"),
)


def _family(kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, sa.DateTime) and kind.timezone:
        return "times with a zone"
    return next((name for family, name in _FAMILIES if isinstance(kind, family)), str(kind))


def _holds(there: sa.types.TypeEngine[Any], kind: sa.types.TypeEngine[Any]) -> bool:
    """Whether a column that is there holds such values unchanged (Postgres would round floats in whole numbers)."""
    return _family(there) == _family(kind) or (_family(there) == "floats" and _family(kind) == "whole numbers")


class CreateView(DDLElement):
    """`CREATE VIEW`; on Postgres `OR REPLACE`, which keeps the grants."""

    inherit_cache = False

    def __init__(self, name: str, query: sa.Select[Any]) -> None:
        self.name = name
        self.query = query


class DropView(DDLElement):
    """`DROP VIEW IF EXISTS`."""

    inherit_cache = False

    def __init__(self, name: str) -> None:
        self.name = name


class AddColumn(DDLElement):
    """`ALTER TABLE ... ADD COLUMN`."""

    inherit_cache = False

    def __init__(self, table: str, column: sa.Column[Any]) -> None:
        self.table = table
        self.column = column


@compiles(CreateView)
def _create_view(element: CreateView, compiler: Any, **_: Any) -> str:
    replace = "" if compiler.dialect.name == "sqlite" else "OR REPLACE "
    query = compiler.sql_compiler.process(element.query, literal_binds=True)
    return f"CREATE {replace}VIEW {compiler.preparer.quote(element.name)} AS {query}"


@compiles(DropView)
def _drop_view(element: DropView, compiler: Any, **_: Any) -> str:
    return f"DROP VIEW IF EXISTS {compiler.preparer.quote(element.name)}"


@compiles(AddColumn)
def _add_column(element: AddColumn, compiler: Any, **_: Any) -> str:
    column = compiler.process(CreateColumn(element.column))
    return f"ALTER TABLE {compiler.preparer.quote(element.table)} ADD COLUMN {column}"
