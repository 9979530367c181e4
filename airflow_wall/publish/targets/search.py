"""The target `search`: a full-text index of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_wall.publish.targets.base import DatabaseTarget

if TYPE_CHECKING:
    from airflow_wall.publish.base import ReleaseSite, TargetWriter


class SearchTarget(DatabaseTarget):
    """A full-text index of SQLite or Postgres."""

    form: ClassVar[str] = "search://CONN/INDEX"
    needs_key: ClassVar[bool] = True

    def open(self, site: ReleaseSite) -> TargetWriter:
        """See `Target.open`."""
        database = site.database(self.conn_id)
        if database.dialect.name == "sqlite":
            from airflow_wall.publish.search_sqlite import SqliteIndex

            return SqliteIndex(self, database)
        from airflow_wall.publish.search_postgres import PostgresIndex

        return PostgresIndex(self, database)
