"""
`search://CONN/INDEX` on SQLite: an FTS5 index per version, and a pointer that names the version to search.

The pointer is stored with those of `sql://` tables in the same file, so both move in one transaction.
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

from airflow_wall.publish.base import StagedRows
from airflow_wall.publish.database import Database, shown
from airflow_wall.publish.documents import check_parts, documents, words
from airflow_wall.publish.targets.base import Target


class SqliteIndex:
    """
    One published index.

    :param target: The parsed `to`.
    :param place: The database.
    """

    def __init__(self, target: Target, place: Database) -> None:
        self.target = target
        self.place = place
        self.pointer = f"search:{target.name}"

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Replace the documents of the part in one transaction."""
        new = documents(rows, self.target)
        table = _table(self.target.name, version)
        with self.place.define() as database:
            self.place.claim(database, self.pointer)
            database.execute(CreateIndex(table.name))
            database.execute(sa.delete(table).where(table.c.part == part))
            for batch in new:
                numbers = sa.text("SELECT value FROM json_each(:numbers)").bindparams(
                    numbers=json.dumps([item.number for item in batch])
                )
                query = sa.select(table.c.rowid, table.c.part).where(table.c.rowid.in_(numbers))
                check_parts(batch, {row[0]: row[1] for row in database.execute(query)}, part, self.target)
                database.execute(
                    sa.insert(table),
                    [
                        {"rowid": item.number, "id": item.id, "part": part, "body": item.body, "words": item.words}
                        for item in batch
                    ],
                )

    def discard(self, version: str, part: str) -> None:
        """Delete the documents of the part."""
        table = _table(self.target.name, version)
        with self.place.write() as database:
            if self.place.owns(database, self.pointer) and sa.inspect(database).has_table(table.name):
                database.execute(sa.delete(table).where(table.c.part == part))

    def count(self, version: str) -> dict[str, int]:
        """Return the number of documents by part."""
        table = _table(self.target.name, version)
        with self.place.read() as database:
            if not sa.inspect(database).has_table(table.name):
                return {}
            query = sa.select(table.c.part, sa.func.count()).group_by(table.c.part)
            return {part: int(rows) for part, rows in database.execute(query)}

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase documents of all versions, also from the words of the index."""
        erased = 0
        with self.place.define() as database:
            for name in filter(self._is_ours, sa.inspect(database).get_table_names()):
                index = _index(name)
                rows = database.execute(sa.select(index.c.rowid, index.c.body)).all()
                numbers = [number for number, body in rows if str(json.loads(body).get(column)) in values]
                for number in numbers:
                    database.execute(sa.delete(index).where(index.c.rowid == number))
                if numbers:
                    database.exec_driver_sql(f"INSERT INTO {name}({name}) VALUES ('optimize')")  # noqa: S608
                erased += len(numbers)
        self.place.purge()
        return erased

    def _is_ours(self, name: str) -> bool:
        return re.fullmatch(re.escape(self.target.name) + "__search_[0-9a-f]{12}", name) is not None

    def forget(self, keep: Collection[str]) -> None:
        """Delete the indexes of other versions."""
        with self.place.define() as database:
            if not self.place.owns(database, self.pointer):
                return
            visible = shown(database, self.pointer)
            kept = {_table(self.target.name, version).name for version in (*keep, visible) if version is not None}
            for name in sa.inspect(database).get_table_names():
                if self._is_ours(name) and name not in kept:
                    database.execute(DropIndex(name))


def search(database: sa.Connection, index: str, text: str, limit: int) -> list[dict[str, Any]] | None:
    """Return the documents that hold all words of `text`, best first; None if nothing is published."""
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
    return _index(f"{index}__search_{hashlib.sha256(version.encode()).hexdigest()[:12]}")


def _index(name: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in ("rowid", "id", "part", "body", "words")))


class CreateIndex(DDLElement):
    """`CREATE VIRTUAL TABLE` for a full-text index."""

    inherit_cache = False

    def __init__(self, name: str) -> None:
        self.name = name


class DropIndex(DDLElement):
    """`DROP TABLE` for a full-text index."""

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
