"""`sql://connection/table`: a table of a database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_wall.connections.dataset_names import DatasetName, name_of_table
from airflow_wall.errors import DataError
from airflow_wall.sources.kinds.base import Source, SourceSite

if TYPE_CHECKING:
    from airflow_wall.sources.sql_table import OpenSqlTable

_FORM = re.compile(r"sql://(?P<connection>[^/\s:@\\]+)/(?:(?P<schema>[^/.\s]+)\.)?(?P<table>[^/.\s]+)")


@dataclass(frozen=True)
class SqlSource(Source):
    """
    A table of a database.

    :param connection: Id of the Airflow connection.
    :param schema: The schema of the table, or None for the connection's own.
    """

    forms = ("`sql://connection/table`",)
    plural = "SQL tables"
    keys = frozenset({"cursor", "lag"})

    connection: str
    schema: str | None
    table: str

    @property
    def conn_id(self) -> str:
        """The Airflow connection."""
        return self.connection

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the table that `sql://connection/table` or `sql://connection/schema.table` names."""
        parts = _FORM.fullmatch(text)
        if parts is None:
            raise DataError(
                f"`source` must be `sql://connection/table`, got `{text}`", hint="write, e.g., `sql://warehouse/orders`"
            )
        return cls(text, parts["connection"], parts["schema"], parts["table"])

    @classmethod
    def parse_beginning(cls, text: str) -> Self | None:
        """Return a table without a name, or None if the text ends before the connection does."""
        connection, slash, _ = text.partition("://")[2].partition("/")
        return cls(text, connection, None, "") if slash else None

    def dataset(self, site: SourceSite) -> DatasetName:
        """Return the name of the table in its database."""
        return name_of_table(site.connections(self.connection), self.table, self.schema, site.run.project)

    def open(self, site: SourceSite, keys: Mapping[str, Any]) -> OpenSqlTable:
        """
        Return the table, after its server has answered.

        :param keys: `cursor`: column whose new values are higher than all earlier ones; `lag`: how far before the last
            value a reading begins.
        :raises DataError: the table or the cursor column does not exist.
        :raises ConnectionFault: the connection does not exist, or its server refused it.
        """
        from airflow_wall.sources.sql_table import open_sql_table  # imports SQLAlchemy

        return open_sql_table(self, keys.get("cursor"), keys.get("lag"), site)
