"""The target `sql`: a table of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_wall.publish.targets.base import DatabaseTarget

if TYPE_CHECKING:
    from airflow_wall.publish.base import ReleaseSite, TargetWriter


class SqlTarget(DatabaseTarget):
    """A table of a database, which clients read as a view."""

    form: ClassVar[str] = "sql://CONN/TABLE"

    def open(self, site: ReleaseSite) -> TargetWriter:
        """See `Target.open`."""
        from airflow_wall.publish.sql import SqlWriter

        return SqlWriter(self, site.database(self.conn_id))
