"""
Names of tables, files and endpoints for OpenLineage: a namespace, and a name that is unique in it.

They follow https://openlineage.io/docs/spec/naming, so that other tools that read the same data give the same names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from airflow_wall.connections.info import ConnectionInfo

_PORTS = {"postgres": 5432, "mysql": 3306}


class DatasetName(NamedTuple):
    """The name of a dataset, e.g. `s3://company-lake` and `platform/gold/scores`."""

    namespace: str
    name: str


def name_of_uri(uri: str) -> DatasetName:
    """Return the name of what is at `file:///path` or `scheme://bucket/path`."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return DatasetName("file", unquote(parts.path))
    return DatasetName(f"{parts.scheme}://{parts.netloc}", unquote(parts.path).strip("/") or "/")


def name_of_table(connection: ConnectionInfo, table: str, schema: str | None, project: Path) -> DatasetName:
    """
    Return the name of a table of a database.

    :param schema: Its schema, if it is not the default one of the connection.
    :param project: Folder that a relative SQLite path is under.
    """
    kind = connection.conn_type
    if kind == "sqlite":
        return DatasetName(f"sqlite://{os.path.normpath(project / (connection.host or ''))}", table)
    namespace = f"{kind}://{connection.host or 'localhost'}:{connection.port or _PORTS.get(kind, 0)}"
    parts = [connection.schema, schema or "public"] if kind == "postgres" else [schema or connection.schema]
    return DatasetName(namespace, ".".join([*filter(None, parts), table]))


def name_of_text(text: str) -> DatasetName:
    """Return the name of something that is only known by the text of a pipeline: `scheme://connection/name`."""
    scheme, _, rest = text.partition("://")
    conn_id, _, name = rest.partition("/")
    return DatasetName(f"{scheme}://{conn_id}", name or "/")
