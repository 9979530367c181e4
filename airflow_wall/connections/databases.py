"""Open the SQL database that a connection names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool, QueuePool

from airflow_wall.connections.extras import rejected, resolved
from airflow_wall.connections.info import FILE_VARIABLE, ConnectionInfo
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ConnectionFault

SQL_TYPES = ("sqlite", "postgres", "mysql")
"""Connection types that hold SQL tables."""

TARGET_TYPES = ("sqlite", "postgres")
"""Connection types of databases that can be published to."""

# SQLite opens any file. Only a read of its header shows if it is a database.
_PROBES = {"sqlite": "PRAGMA schema_version"}

_FILES = ("passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert")
"""Parameters of libpq that name a file. If the file is missing, libpq ignores most of them."""


def sql_engine(
    connection: ConnectionInfo, *, project: Path, keep_open: bool = False, types: Sequence[str] = SQL_TYPES
) -> sqlalchemy.Engine:
    """
    Return a SQLAlchemy engine whose server has answered once.

    :param project: Folder that a relative SQLite path is under.
    :param keep_open: Keep connections open between uses. You must then call `dispose` on the engine.
    :param types: Connection types that the caller can use.
    :raises ConnectionFault: the type is not one of them, an extra cannot be honoured, or the server refused or did not
        answer.
    """
    if connection.conn_type not in types:
        which = "can only be read" if connection.conn_type in SQL_TYPES else "holds no SQL tables"
        raise ConnectionFault(
            f"connection `{connection.conn_id}` has type `{connection.conn_type}`, which {which}",
            hint=f"name a connection of type {listed(types, conjunction='or')}",
        )
    try:
        connection = resolved(connection)
    except ImportError as error:
        raise ConnectionFault(
            f"connection `{connection.conn_id}` needs the package `{error.name}`, which is not installed here",
            hint=f"install it on every worker: `pip install 'airflow-wall[{connection.conn_type}]'`",
        ) from error
    if connection.conn_type == "sqlite":
        url, arguments = _sqlite_url(connection, project), {}
    elif connection.conn_type == "mysql":
        url, arguments = _server_url(connection, "mysql+pymysql"), mysql_parameters(connection)
    else:
        url, arguments = _server_url(connection, "postgresql+psycopg"), postgres_parameters(connection)
    pool = QueuePool if keep_open else NullPool
    try:
        engine = sqlalchemy.create_engine(url, connect_args=arguments, poolclass=pool)
        _probe(engine, _PROBES.get(connection.conn_type, "SELECT 1"))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        reason = connection.hide(str(getattr(error, "orig", None) or error).strip())
        # The driver's own error is left out: its traceback may show the password.
        raise ConnectionFault(
            f"connection `{connection.conn_id}` ({shown_url(url)}) was refused: {reason}",
            hint=f"correct the connection: {_connection_source(connection.conn_id)}",
        ) from None
    return engine


def _probe(engine: sqlalchemy.Engine, query: str) -> None:
    """Run a query, and close the connection if it fails."""
    try:
        with engine.connect() as database:
            database.execute(sqlalchemy.text(query))
    except BaseException:
        engine.dispose()
        raise


def postgres_parameters(connection: ConnectionInfo) -> dict[str, Any]:
    """
    Return the parameters by which libpq opens a `postgres` connection: its fields, overridden by its extras.

    As in Airflow's hook, every extra that libpq knows goes to libpq, which alone gives it its meaning. The extra
    `sqlalchemy_query` holds parameters of libpq too.

    :raises ConnectionFault: a parameter is unknown, has no plain value, or names a file that does not exist.
    """
    fields = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    extra = dict(connection.extra)
    query = extra.pop("sqlalchemy_query", {})
    if not isinstance(query, Mapping):
        raise rejected(connection, "sqlalchemy_query", "write a mapping of parameters of libpq, or remove it")
    threshold = {"prepare_threshold": extra.pop("prepare_threshold")} if "prepare_threshold" in extra else {}
    _check_names(connection, query)
    values = {**fields, **query, **extra}
    parameters = {name: _plain(connection, name, value) for name, value in values.items() if value not in (None, "")}
    _check_host(connection, parameters.get("host", ""))
    for name in _FILES:
        if name in parameters and not Path(parameters[name]).exists() and parameters[name] != "system":
            raise ConnectionFault(
                f"connection `{connection.conn_id}`: the extra `{name}` names `{parameters[name]}`, which does not "
                "exist",
                hint="put the file on every worker, by an absolute path, or remove the extra",
            )
    return {**parameters, **_threshold(connection, threshold)}


def mysql_parameters(connection: ConnectionInfo) -> dict[str, Any]:
    """
    Return the parameters by which PyMySQL opens a `mysql` connection: its fields, overridden by its extras.

    Texts are read as `utf8mb4`, and times with a zone in UTC, whatever the server's defaults are.

    :raises ConnectionFault: a field or an extra is not valid.
    """
    _check_host(connection, connection.host or "")
    extra = {name: value for name, value in connection.extra.items() if value not in (None, "")}
    ssl = extra.pop("ssl", None)
    if ssl is not None and not isinstance(ssl, Mapping):
        raise rejected(connection, "ssl", 'write a mapping, e.g. `{"ca": "/etc/ssl/ca.pem"}`')
    return {
        "user": connection.login,
        "password": connection.password or "",
        "database": connection.schema,
        "host": connection.host or "localhost",
        "port": connection.port or 3306,
        "charset": "utf8mb4",
        "init_command": "SET time_zone = '+00:00'",
        **({} if ssl is None else {"ssl": dict(ssl)}),
        **{name: _plain(connection, name, value) for name, value in extra.items()},
    }


def _check_names(connection: ConnectionInfo, query: Mapping[str, Any]) -> None:
    from psycopg import pq

    keywords = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name in query:
        if name not in keywords:
            hint = did_you_mean(str(name), sorted(keywords)) or "write a parameter of libpq, such as `sslmode`"
            raise rejected(connection, f"sqlalchemy_query.{name}", hint)


def _check_host(connection: ConnectionInfo, host: str) -> None:
    if "://" in host or "@" in host:
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: `host` must be the name of a server, got a whole address",
            hint="write login, password, port and database into the fields of their own",
        )


def _plain(connection: ConnectionInfo, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))  # libpq writes booleans as 0 and 1, e.g. `keepalives`
    if isinstance(value, str | int | float):
        return str(value)
    raise ConnectionFault(
        f"connection `{connection.conn_id}`: the extra `{name}` must be a text or a number, "
        f"got a {type(value).__name__}",
        hint=f'write it as in `{{"{name}": "VALUE"}}`',
    )


def _threshold(connection: ConnectionInfo, threshold: Mapping[str, Any]) -> dict[str, int | None]:
    """Return psycopg's own `prepare_threshold`; null means no prepared statements."""
    for name, value in threshold.items():
        if value is None:
            return {name: None}
        if isinstance(value, bool) or not str(value).isdecimal():
            raise ConnectionFault(
                f"connection `{connection.conn_id}`: the extra `{name}` must be a whole number or null",
                hint="write after how many runs a statement is prepared; null for never",
            )
        return {name: int(value)}
    return {}


def shown_url(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """Return the URL as messages show it: without the user, because a URL with a login is hidden as a whole."""
    return url._replace(username=None)


def _server_url(connection: ConnectionInfo, driver: str) -> sqlalchemy.URL:
    """Return the URL that messages show for the database of a server. The password goes to the driver alone."""
    return sqlalchemy.URL.create(
        driver,
        username=connection.login,
        host=connection.hide(connection.host) if connection.host else None,
        port=connection.port,
        database=connection.schema,
    )


def _sqlite_url(connection: ConnectionInfo, project: Path) -> sqlalchemy.URL:
    if not connection.host:
        raise ConnectionFault(
            f"connection `{connection.conn_id}` must have the path of the database file as its `host`, got none",
            hint="write the path into `host`, e.g. `lake/warehouse.db`",
        )
    path = project / connection.host  # an absolute host stays absolute
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConnectionFault(
            f"connection `{connection.conn_id}`: the directory `{path.parent}` cannot be created: {error.strerror}",
            hint="name another file in `host`, or correct the directory's permissions",
        ) from error
    if not connection.extra:
        return sqlalchemy.URL.create("sqlite", database=str(path))
    if connection.extra.get("mode") == "memory":
        raise rejected(connection, "mode", "a database in memory is gone when the task ends; write `ro`, `rw` or `rwc`")
    query = {name: _plain(connection, name, value) for name, value in connection.extra.items()}
    return sqlalchemy.URL.create("sqlite", database=path.absolute().as_uri(), query={**query, "uri": "true"})


def _connection_source(conn_id: str) -> str:
    file = os.environ.get(FILE_VARIABLE)
    return f"it is in `{file}`" if file else f"`airflow connections get {conn_id}` shows it"
