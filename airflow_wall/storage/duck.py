"""DuckDB, the embedded SQL engine, as this package wants it."""

from __future__ import annotations

import os
import re

import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """
    Return a connection to an empty database in memory.

    Times are UTC whatever the machine's zone is, and no extension is downloaded: what a query does must not depend on
    the network. A cluster bounds its threads and memory by the variables AIRFLOW_WALL_THREADS and AIRFLOW_WALL_MEMORY.
    """
    limits = {"threads": "AIRFLOW_WALL_THREADS", "memory_limit": "AIRFLOW_WALL_MEMORY"}
    bounds = {name: os.environ[variable] for name, variable in limits.items() if variable in os.environ}
    database = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false", **bounds})
    database.execute("SET TimeZone = 'UTC'")
    return database


def seal(database: duckdb.DuckDBPyConnection) -> None:
    """Let what is run from now on see the registered tables and nothing else: no file, no network, no way back."""
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def reason(error: Exception, *, excerpt: bool = False) -> str:
    """
    What DuckDB says, without its list of columns that are near: which ones it names differs from run to run.

    :param excerpt: Whether to keep the line of the query and the mark under the place.
    """
    text = re.sub(r"\nCandidate bindings: .*", "", str(error))
    return (text if excerpt else text.partition("\n\nLINE ")[0]).strip()
