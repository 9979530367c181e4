"""
`search://CONN/INDEX` on SQLite: an FTS5 index per version, and a pointer that names the one to search.

The pointer lies beside those of `sql://` tables in the same file, so both move in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import DDLElement

from airflow_wall.errors import DataError
from airflow_wall.publish.address import Address
from airflow_wall.publish.base import Rows
from airflow_wall.publish.database import Database, shown
from airflow_wall.publish.documents import documents, words


class SqliteIndex:
    """
    One published index.

    :param address: Its `to`.
    :param place: Its database.
    """

    def __init__(self, address: Address, place: Database) -> None:
        self.address = address
        self.place = place
        self.pointer = f"search:{address.name}"

    def stage(self, version: str, part: str, rows: Rows) -> None:
        """Replace the documents of the part in one transaction."""
        made = documents(rows, self.address.to)
        table = _table(self.address.name, version)
        with self.place.define() as database:
            self.place.claim(database, self.pointer)
            database.execute(CreateIndex(table.name))
            database.execute(sa.delete(table).where(table.c.part == part))
            taken = {row[0]: row[1] for row in database.execute(sa.select(table.c.rowid, table.c.part))}
            for document in made:
                if document.number in taken:
                    raise DataError(
                        f"`key`: {document.id} stands in part `{part}` and in part `{taken[document.number]}` "
                        f"of `{self.address.to}`",
                        hint="add a column to `key`, or have each part hold its own rows",
                    )
            if made:
                database.execute(
                    sa.insert(table),
                    [
                        {"rowid": one.number, "id": one.id, "part": part, "body": one.body, "words": one.words}
                        for one in made
                    ],
                )

    def discard(self, version: str, part: str) -> None:
        """Drop the documents of the part."""
        table = _table(self.address.name, version)
        with self.place.write() as database:
            if sa.inspect(database).has_table(table.name):
                database.execute(sa.delete(table).where(table.c.part == part))

    def count(self, version: str) -> dict[str, int]:
        """Documents by part."""
        table = _table(self.address.name, version)
        with self.place.read() as database:
            if not sa.inspect(database).has_table(table.name):
                return {}
            query = sa.select(table.c.part, sa.func.count()).group_by(table.c.part)
            return {part: int(rows) for part, rows in database.execute(query)}

    def forget(self, keep: Collection[str]) -> None:
        """Drop the indexes of other versions."""
        with self.place.define() as database:
            visible = shown(database, self.pointer)
            kept = {_table(self.address.name, version).name for version in (*keep, visible) if version is not None}
            ours = re.compile(re.escape(self.address.name) + "__search_[0-9a-f]{12}")
            for name in sa.inspect(database).get_table_names():
                if ours.fullmatch(name) and name not in kept:
                    database.execute(DropIndex(name))


def search(database: sa.Connection, index: str, text: str, limit: int) -> list[dict[str, Any]] | None:
    """Return the documents that hold all words of `text`, best first; None where nothing is published."""
    version = shown(database, f"search:{index}")
    if version is None:
        return None
    table = _table(index, version)
    terms = " ".join(f'"{word}"' for word in words(text))
    query = sa.select(table.c.body).limit(limit)
    if terms:
        match = table.c.words.op("MATCH", is_comparison=True)(terms)
        query = query.where(match).order_by(sa.column("rank"), table.c.rowid)
    else:
        query = query.order_by(table.c.rowid)
    return [json.loads(body) for body in database.scalars(query)]


def _table(index: str, version: str) -> sa.TableClause:
    name = f"{index}__search_{hashlib.sha256(version.encode()).hexdigest()[:12]}"
    return sa.table(name, *(sa.column(column) for column in ("rowid", "id", "part", "body", "words")))


class CreateIndex(DDLElement):
    """A full-text table."""

    inherit_cache = False

    def __init__(self, name: str) -> None:
        self.name = name


class DropIndex(DDLElement):
    """The end of a full-text table."""

    inherit_cache = False

    def __init__(self, name: str) -> None:
        self.name = name


@compiles(CreateIndex)
def _create_index(element: CreateIndex, compiler: Any, **_: Any) -> str:
    columns = "id UNINDEXED, part UNINDEXED, body UNINDEXED, words"
    return f"CREATE VIRTUAL TABLE IF NOT EXISTS {compiler.preparer.quote(element.name)} USING fts5({columns})"


@compiles(DropIndex)
def _drop_index(element: DropIndex, compiler: Any, **_: Any) -> str:
    return f"DROP TABLE {compiler.preparer.quote(element.name)}"
