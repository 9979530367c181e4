"""DuckDB, the embedded SQL engine, as this package wants it."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from pathlib import Path

import duckdb

LIMITS = {"threads": "AIRFLOW_WALL_THREADS", "memory_limit": "AIRFLOW_WALL_MEMORY"}
"""DuckDB's settings that a cluster bounds, and the variable that says how."""

_LISTED = 20


def connect() -> duckdb.DuckDBPyConnection:
    """
    Return a connection to an empty database in memory.

    Times are UTC whatever the machine's zone is, and no extension is downloaded: what a query does must not depend on
    the network. A cluster bounds its threads and memory by the variables AIRFLOW_WALL_THREADS and AIRFLOW_WALL_MEMORY.
    What does not fit goes to a folder of its own, which DuckDB makes when it needs it and removes at the end.
    """
    bounds = {name: os.environ[variable] for name, variable in LIMITS.items() if variable in os.environ}
    # The one folder that a sealed database may still reach: by default it would be that of all queries of a worker.
    overflow = str(Path(tempfile.gettempdir()) / f"airflow-wall-{uuid.uuid4().hex}")
    database = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "temp_directory": overflow, **bounds}
    )
    database.execute("SET TimeZone = 'UTC'")
    return database


def seal(database: duckdb.DuckDBPyConnection) -> None:
    """Let what is run from now on see the registered tables and nothing else: no file, no network, no way back."""
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def not_one_query(database: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """
    What `sql` is instead of one query, in words; None where it is one. Nothing is run.

    :raises duckdb.Error: it is no SQL.
    """
    found = database.extract_statements(sql)
    if len(found) == 1 and found[0].type == duckdb.StatementType.SELECT:
        return None
    return ", ".join(f"`{statement.type.name}`" for statement in found[:_LISTED]) or "nothing"


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
