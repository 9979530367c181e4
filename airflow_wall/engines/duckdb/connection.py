"""Connections to DuckDB, the embedded SQL engine, with the settings this package needs."""

from __future__ import annotations

import functools
import glob
import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from airflow_wall.diagnostics.suggestions import listed

LIMITS = {"threads": "AIRFLOW_WALL_THREADS", "memory_limit": "AIRFLOW_WALL_MEMORY"}
"""Setting of DuckDB -> environment variable with the limit that a cluster sets."""


def connect() -> duckdb.DuckDBPyConnection:
    """
    Return a connection to an empty database in memory.

    Times are UTC in every time zone. No extension is downloaded, so that a query does not depend on the network.
    A cluster limits threads and memory by the variables AIRFLOW_WALL_THREADS and AIRFLOW_WALL_MEMORY. Data that exceed
    the memory go to a temporary directory of this connection, which DuckDB creates when needed and removes at the end.
    """
    return _open(_bounds())


def shared() -> duckdb.DuckDBPyConnection:
    """
    Return a connection to the database in memory that all queries of this process share.

    To open a database takes longer than most queries. Temporary tables and registered rows are the connection's own.
    Run only queries of this package: a seal or a setting would hold for all connections.
    """
    return _shared_database(os.getpid(), tuple(_bounds().items())).cursor()


@functools.cache  # by process: the threads of a database do not survive a fork
def _shared_database(process: int, bounds: tuple[tuple[str, str], ...]) -> duckdb.DuckDBPyConnection:  # noqa: ARG001
    return _open(dict(bounds))


def _bounds() -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in LIMITS.items() if variable in os.environ}


def _open(bounds: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    # A sealed database can still reach this directory. By default all queries of a worker would share it.
    overflow = str(Path(tempfile.gettempdir()) / f"airflow-wall-{uuid.uuid4().hex}")
    database = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "temp_directory": overflow, **bounds}
    )
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    return database


def seal(database: duckdb.DuckDBPyConnection, paths: Iterable[Path] = ()) -> None:
    """
    Restrict all later queries to the registered tables: no network, no file. This cannot be undone.

    :param paths: Files that they may read all the same, because views of the connection do.
    """
    names = [name for path in paths for name in dict.fromkeys((str(path), glob.escape(str(path))))]
    if names:
        database.execute(f"SET allowed_paths = {value(names)}")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def describe_other_statements(database: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """
    Return None if `sql` is exactly one query, else the kinds of its statements in words. Nothing is run.

    :raises duckdb.Error: the text is not SQL.
    """
    statements = database.extract_statements(sql)
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT:
        return None
    return listed(statement.type.name for statement in statements) or "nothing"


def identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as a quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def is_one_of(sql: str, texts: Iterable[str]) -> str:
    """
    Return a condition: the value of `sql` is one of some texts.

    DuckDB makes a join of `IN` with many values, and a join on several threads returns rows in any order.
    """
    return "(" + " OR ".join(f"{sql} = {literal(text)}" for text in texts) + ")"


def value(plain: Any) -> str:
    """Return a Python value as SQL: a text, a number, a boolean, or a list or mapping of them."""
    if isinstance(plain, bool | int | float):
        return str(plain).lower()
    if isinstance(plain, Mapping):
        return "{" + ", ".join(f"{literal(str(key))}: {value(item)}" for key, item in plain.items()) + "}"
    if isinstance(plain, list | tuple):
        return "[" + ", ".join(value(item) for item in plain) + "]"
    return literal(str(plain))


def reason(error: Exception, *, excerpt: bool = False) -> str:
    """
    Return DuckDB's message without its list of similar columns, which differs from run to run.

    :param excerpt: Keep the line of the query and the mark below the fault.
    """
    text = re.sub(r"\nCandidate bindings: .*", "", str(error))
    return (text if excerpt else text.partition("\n\nLINE ")[0]).strip()
