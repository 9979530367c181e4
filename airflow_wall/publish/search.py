"""Search a published index for documents by their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.publish import search_postgres, search_sqlite
from airflow_wall.publish.database import Database


def search(
    connection: ConnectionInfo, index: str, text: str, limit: int = 10, *, project: Path
) -> list[dict[str, Any]]:
    """
    Return the documents of the published `index` that hold all words of `text`, best first.

    :param connection: Of type `sqlite` or `postgres`.
    :param text: Words; without words the first `limit` documents are returned.
    :param project: Base directory of a relative SQLite path.
    :raises ConnectionFault: the database does not answer.
    :raises DataError: no release has published such an index.
    """
    database = Database(connection, project=project, owner="")
    try:
        with database.read() as transaction:
            find = search_sqlite.search if database.dialect.name == "sqlite" else search_postgres.search
            matches = find(transaction, index, text, limit)
    finally:
        database.close()
    if matches is None:
        raise DataError(
            f"no release has published `search://{connection.conn_id}/{index}` yet",
            hint="run the pipeline that publishes it, or check the name",
        )
    return matches
