"""Open the SQL database that a connection names."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy

from airflow_wall.connections import FILE_VARIABLE, ConnectionInfo
from airflow_wall.errors import ConnectionFault

SQL_TYPES = ("sqlite", "postgres")
"""Connection types that hold SQL tables."""

# SQLite opens any file; only reading its header tells whether it is a database.
_PROBES = {"sqlite": "PRAGMA schema_version"}


def sql_engine(connection: ConnectionInfo, *, project: Path) -> sqlalchemy.Engine:
    """
    Return a SQLAlchemy engine whose server has answered once.

    :param project: Folder that a relative SQLite path is under.
    :raises ConnectionFault: the type holds no SQL tables, or the server refused or did not answer.
    """
    url = _sql_url(connection, project)
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as database:
            database.execute(sqlalchemy.text(_PROBES.get(connection.conn_type, "SELECT 1")))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        raise ConnectionFault(
            f"connection `{connection.conn_id}` ({url.render_as_string(hide_password=True)}) was refused: {reason}",
            hint=f"mend the connection: {_shown(connection.conn_id)}",
        ) from error
    return engine


def _shown(conn_id: str) -> str:
    file = os.environ.get(FILE_VARIABLE)
    return f"it is in `{file}`" if file else f"`airflow connections get {conn_id}` shows it"


def _sql_url(connection: ConnectionInfo, project: Path) -> sqlalchemy.URL:
    if connection.conn_type == "sqlite":
        if not connection.host:
            raise ConnectionFault(
                f"connection `{connection.conn_id}` has no `host`; for SQLite it is the path of the database file"
            )
        path = project / connection.host  # an absolute host stays absolute
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConnectionFault(
                f"connection `{connection.conn_id}`: the folder `{path.parent}` cannot be made: {error.strerror}",
                hint="name another file in `host`, or mend the folder's permissions",
            ) from error
        return sqlalchemy.URL.create("sqlite", database=str(path))
    if connection.conn_type == "postgres":
        return sqlalchemy.URL.create(
            "postgresql+psycopg",
            username=connection.login,
            password=connection.password,
            host=connection.host,
            port=connection.port,
            database=connection.schema,
        )
    raise ConnectionFault(
        f"connection `{connection.conn_id}` has type `{connection.conn_type}`, which holds no SQL tables",
        hint=f"name a connection of type {' or '.join(f'`{name}`' for name in SQL_TYPES)}",
    )
