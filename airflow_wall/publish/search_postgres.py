"""`search://CONN/INDEX` on Postgres: all versions in one table with a GIN index over `tsvector`, and a pointer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from airflow_wall.publish.base import StagedRows
from airflow_wall.publish.database import Database, shown
from airflow_wall.publish.documents import check_parts, documents, words
from airflow_wall.publish.targets.base import Target


class PostgresIndex:
    """
    One published index.

    :param target: The parsed `to`.
    :param place: The database.
    """

    def __init__(self, target: Target, place: Database) -> None:
        self.target = target
        self.place = place
        self.pointer = f"search:{target.name}"
        self._table = _table(target.name)

    def stage(self, version: str, part: str, rows: StagedRows) -> None:
        """Replace the documents of the part in one transaction."""
        new = documents(rows, self.target)
        table = self._table
        with self.place.define() as database:
            self.place.claim(database, self.pointer)
            table.create(database, checkfirst=True)
        with self.place.write() as database:
            database.execute(sa.delete(table).where(table.c.release == version, table.c.part == part))
            vector = sa.func.to_tsvector(sa.literal_column("'simple'"), sa.bindparam("text", type_=sa.Text))
            body = sa.cast(sa.bindparam("document", type_=sa.Text), JSONB)
            for batch in new:
                numbers = sa.func.any(sa.cast([item.number for item in batch], ARRAY(sa.BigInteger)))
                query = sa.select(table.c.number, table.c.part).where(
                    table.c.release == version, table.c.number == numbers
                )
                check_parts(batch, {row[0]: row[1] for row in database.execute(query)}, part, self.target)
                database.execute(
                    sa.insert(table).values(release=version, part=part, words=vector, body=body),
                    [{"number": item.number, "document": item.body, "text": item.words} for item in batch],
                )

    def discard(self, version: str, part: str) -> None:
        """Delete the documents of the part."""
        table = self._table
        with self.place.write() as database:
            if self.place.owns(database, self.pointer) and sa.inspect(database).has_table(table.name):
                database.execute(sa.delete(table).where(table.c.release == version, table.c.part == part))

    def count(self, version: str) -> dict[str, int]:
        """Return the number of documents by part."""
        table = self._table
        with self.place.read() as database:
            if not sa.inspect(database).has_table(table.name):
                return {}
            query = sa.select(table.c.part, sa.func.count()).where(table.c.release == version).group_by(table.c.part)
            return {part: int(rows) for part, rows in database.execute(query)}

    def erase(self, column: str, values: Collection[str]) -> int:
        """Erase documents of all versions."""
        table = self._table
        with self.place.write() as database:
            if not sa.inspect(database).has_table(table.name):
                return 0
            return int(database.execute(sa.delete(table).where(table.c.body[column].astext.in_([*values]))).rowcount)

    def forget(self, keep: Collection[str]) -> None:
        """Delete the documents of other versions."""
        table = self._table
        with self.place.write() as database:
            if self.place.owns(database, self.pointer) and sa.inspect(database).has_table(table.name):
                kept = {*keep, shown(database, self.pointer)} - {None}
                database.execute(sa.delete(table).where(table.c.release.not_in(kept)))


def search(database: sa.Connection, index: str, text: str, limit: int) -> list[dict[str, Any]] | None:
    """Return the documents that hold all words of `text`, best first; None if nothing is published."""
    version = shown(database, f"search:{index}")
    if version is None:
        return None
    table = _table(index)
    query = sa.select(table.c.body).where(table.c.release == version).limit(limit)
    if terms := words(text):
        search_query = sa.func.plainto_tsquery(sa.literal_column("'simple'"), " ".join(terms))
        query = query.where(table.c.words.op("@@")(search_query)).order_by(
            sa.func.ts_rank(table.c.words, search_query).desc()
        )
    return list(database.scalars(query.order_by(table.c.number)))


def _table(index: str) -> sa.Table:
    name = f"{index}__search"
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("release", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.Index(f"{name}_words", "words", postgresql_using="gin"),
    )
