"""
`sql://CONN/TABLE`: a view that shows one version of the rows.

Rows of all versions are in `<table>__releases`; the view `<table>` shows the rows whose `_release` the pointer names.
So a commit changes one value, and a reader at any isolation level sees one whole release. Renaming, truncating or
recreating a view at that moment showed empty tables to readers with REPEATABLE READ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateIndex, DDLElement, SetColumnComment
from sqlalchemy.sql import quoted_name

from airflow_wall.errors import DataError, ReleaseError
from airflow_wall.publish.base import StagedRows, check_options
from airflow_wall.publish.bulk_load import insert_rows
from airflow_wall.publish.database import POINTERS, Database, shown
from airflow_wall.publish.rows import plain, plain_schema
from airflow_wall.publish.targets.base import Target

RESERVED = ("_release", "_part")
"""Columns that airflow-wall adds."""

_MOST_BYTES = 63  # of a name in Postgres


class SqlWriter:
    """
    One published table.

    :param target: The parsed `to`.
    :param place: The database.
    """

    def __init__(self, target: Target, place: Database) -> None:
        self.target = target
        self.place = place
        self.pointer = _quoted(target.name)
        self._store = _quoted(f"{target.name}__releases")

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Replace the rows of the part in one transaction, after adding new columns."""
        check_options(rows.options, (), self.target)
        columns = self._columns(plain_schema(rows.rows.schema))
        with self.place.define() as database:
            table = self._prepare(database, columns)
            self._comment(database, rows.comments)
        with self.place.write() as database:
            database.execute(sa.delete(table).where(table.c._release == version, table.c._part == part))
            insert_rows(database, table, (version, part), map(plain, rows.rows.batches()))

    def discard(self, version: str, part: str) -> None:
        """Delete the rows of the part."""
        with self.place.write() as database:
            if (table := self._store_table(database)) is not None:
                database.execute(sa.delete(table).where(table.c._release == version, table.c._part == part))

    def count(self, version: str) -> dict[str, int]:
        """Return the number of rows by part."""
        with self.place.read() as database:
            if (table := self._store_table(database)) is None:
                return {}
            query = sa.select(table.c._part, sa.func.count()).where(table.c._release == version).group_by(table.c._part)
            return {part: int(rows) for part, rows in database.execute(query)}

    def forget(self, keep: Collection[str]) -> None:
        """Delete the rows of other versions."""
        with self.place.write() as database:
            if (table := self._store_table(database)) is None:
                return
            kept = {*keep, shown(database, self.pointer)} - {None}
            database.execute(sa.delete(table).where(table.c._release.not_in(kept)))

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase rows of all versions."""
        erased = 0
        with self.place.write() as database:
            if self._store_table(database) is None:
                return 0
            table = sa.Table(self._store, sa.MetaData(), autoload_with=database)
            if column in table.c:
                for value in values:
                    query = sa.delete(table).where(sa.cast(table.c[column], sa.Text) == value)
                    erased += database.execute(query).rowcount
        self.place.purge()
        return erased

    def _store_table(self, database: sa.Connection) -> sa.Table | None:
        """Return the table of all versions; None if it does not exist or belongs to another release."""
        if not self.place.owns(database, self.pointer) or not sa.inspect(database).has_table(self._store):
            return None
        return sa.Table(self._store, sa.MetaData(), sa.Column("_release", sa.Text), sa.Column("_part", sa.Text))

    def _prepare(self, database: sa.Connection, columns: list[sa.Column[Any]]) -> sa.Table:
        """Create or widen the table of all versions to hold `columns`, and the view over all its columns."""
        inspector = sa.inspect(database)
        views, tables = inspector.get_view_names(), inspector.get_table_names()
        self._check_not_foreign(inspector, views, tables)
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
            database.execute(CreateView(self.pointer, self._visible_rows(names)))
        return table

    def _comment(self, database: sa.Connection, comments: Mapping[str | None, str]) -> None:
        """Set the comments of the view and its columns that are new or differ. SQLite has no comments."""
        if not comments or database.dialect.name == "sqlite":
            return
        inspector = sa.inspect(database)
        known: dict[str | None, Any] = {
            column["name"]: column["comment"] for column in inspector.get_columns(self.pointer)
        }
        known[None] = inspector.get_table_comment(self.pointer)["text"]
        for name, text in comments.items():
            if name not in known or known[name] == text:
                continue
            if name is None:
                database.execute(CommentOnView(self.pointer, text))
            else:
                view = sa.Table(self.pointer, sa.MetaData(), sa.Column(_quoted(name), comment=text))
                database.execute(SetColumnComment(view.c[name]))

    def _check_not_foreign(self, inspector: sa.Inspector, views: list[str], tables: list[str]) -> None:
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
                f"`to`: connection `{self.place.conn_id}` has a {foreign} that no release created; it is not changed",
                hint="use another table in `to`, or rename that one",
            )

    def _widen(self, database: sa.Connection, inspector: sa.Inspector, columns: list[sa.Column[Any]]) -> list[str]:
        existing = {column["name"]: column["type"] for column in inspector.get_columns(self._store)}
        for column in columns:
            if column.name not in existing:
                database.execute(AddColumn(self._store, column))
            elif isinstance(column.type, _NullType):
                column.type = existing[column.name]  # Postgres needs the right type even for nulls
            elif not _fits(existing[column.name], column.type):
                raise DataError(
                    f"`to`: column `{column.name}` of `{self.pointer}` in connection `{self.place.conn_id}` holds "
                    f"{_family(existing[column.name])}, but the data have {_family(column.type)}",
                    hint="cast the column in the transform, or publish to a new table",
                )
        added = [column.name for column in columns if column.name not in existing]
        return [name for name in existing if name not in RESERVED] + added

    def _visible_rows(self, names: list[str]) -> sa.Select[Any]:
        store = sa.table(self._store, sa.column("_release"), *(sa.column(_quoted(name)) for name in names))
        release = sa.select(POINTERS.c.release).where(POINTERS.c.table == self.pointer).scalar_subquery()
        return sa.select(*(store.c[name] for name in names)).where(store.c._release == release)

    def _columns(self, schema: pa.Schema) -> list[sa.Column[Any]]:
        seen: set[str] = set()
        for name in schema.names:
            if name in RESERVED or name.lower() in seen:
                why = "is reserved for releases" if name in RESERVED else "occurs twice, ignoring case"
                raise DataError(f"`{self.target}`: column `{name}` {why}", hint="rename it in the transform")
            if not name.isprintable() or not 0 < len(name.encode()) <= _MOST_BYTES:
                raise DataError(
                    f"`{self.target}`: column {name!r} must have a name of 1 to {_MOST_BYTES} printable bytes",
                    hint="rename it in the transform",
                )
            seen.add(name.lower())
        if not seen:
            raise DataError(f"`{self.target}`: the data have no columns", hint="return columns from the transform")
        return [sa.Column(_quoted(field.name), self._type(field)) for field in schema]

    def _type(self, field: pa.Field[Any]) -> sa.types.TypeEngine[Any]:
        if self.place.dialect.name == "sqlite":  # SQLite has no decimals and no zones: times are UTC
            if pa.types.is_decimal(field.type):
                return sa.Text()
            if pa.types.is_timestamp(field.type):
                return sa.DateTime()
        for matches, kind in _TYPES:
            if matches(field.type):
                return kind
        raise DataError(
            f"`{self.target}`: column `{field.name}` has type `{field.type}`, which SQL columns cannot hold",
            hint="convert it to text or to plain columns in the transform",
        )


def _quoted(name: str) -> quoted_name:
    """Return a name that is always quoted: SQLAlchemy's list of SQLite keywords lacks some, e.g. `nothing`."""
    return quoted_name(name, quote=True)


class _NullType(sa.Text):
    """Type of a column that is null in every row; it fits any existing column."""


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
    (pa.types.is_null, _NullType()),
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


def _fits(existing: sa.types.TypeEngine[Any], kind: sa.types.TypeEngine[Any]) -> bool:
    """
    Return True if a column of type `existing` holds values of type `kind` unchanged.

    A column of whole numbers does not hold floats: Postgres would round them.
    """
    return _family(existing) == _family(kind) or (_family(existing) == "floats" and _family(kind) == "whole numbers")


class CreateView(DDLElement):
    """`CREATE VIEW`; on Postgres `CREATE OR REPLACE VIEW`, which keeps the grants."""

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


class CommentOnView(DDLElement):
    """`COMMENT ON VIEW`."""

    inherit_cache = False

    def __init__(self, view: str, text: str) -> None:
        self.view = view
        self.text = text


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


@compiles(CommentOnView)
def _comment_on_view(element: CommentOnView, compiler: Any, **_: Any) -> str:
    text = compiler.sql_compiler.render_literal_value(element.text, sa.String())
    return f"COMMENT ON VIEW {compiler.preparer.quote(element.view)} IS {text}"
