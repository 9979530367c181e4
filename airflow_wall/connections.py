"""What a backend needs of an Airflow connection, without Airflow: so that it can travel to where the work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy

from airflow_wall.errors import ConnectionFault

SQL_TYPES = ("sqlite", "postgres")
"""Connection types that hold SQL tables."""


@dataclass(frozen=True)
class ConnectionInfo:
    """
    One Airflow connection, as plain values.

    :param conn_id: Name of the connection, as the YAML writes it.
    :param conn_type: Airflow's connection type, e.g. `sqlite`, `postgres`, `http`.
    :param schema: Airflow's "schema" field: for SQL types the database.
    """

    conn_id: str
    conn_type: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Connections(Protocol):
    """Gives a connection by its id. Raises ConnectionFault that says where it looked."""

    def __call__(self, conn_id: str, /) -> ConnectionInfo: ...


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
            database.execute(sqlalchemy.text("SELECT 1"))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip()
        raise ConnectionFault(
            f"connection `{connection.conn_id}` ({url.render_as_string(hide_password=True)}) was refused: {reason}",
            hint=f"mend the connection: `airflow connections get {connection.conn_id}` shows it",
        ) from error
    return engine


def _sql_url(connection: ConnectionInfo, project: Path) -> sqlalchemy.URL:
    if connection.conn_type == "sqlite":
        if not connection.host:
            raise ConnectionFault(
                f"connection `{connection.conn_id}` has no `host`; for SQLite it is the path of the database file"
            )
        path = project / connection.host  # an absolute host stays absolute
        path.parent.mkdir(parents=True, exist_ok=True)
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
