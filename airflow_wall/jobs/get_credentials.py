"""The job `get_credentials`: test a connection before tasks that need it start."""

from __future__ import annotations

import logging
from typing import Any

from airflow_wall.connections.databases import SQL_TYPES, sql_engine
from airflow_wall.errors import ConnectionFault
from airflow_wall.job import Env

log = logging.getLogger(__name__)


def get_credentials(env: Env, *, conn_id: str) -> dict[str, Any]:
    """
    Look up a connection and, if it holds SQL tables, log in once.

    :return: A reference without secrets: `conn_id`, `conn_type` and, for a database, the login's name. For other types
        the login may be sensitive: for AWS it is the id of an access key.
    :raises ConnectionFault: the connection is missing, incomplete, or refused by its server.
    """
    try:
        connection = env.connections(conn_id)
        if connection.conn_type in SQL_TYPES:
            sql_engine(connection, project=env.run.project)
    except ConnectionFault as error:
        raise ConnectionFault(f"`conn_id`: {error.message}", hint=error.hint) from error
    reference = {"conn_id": conn_id, "conn_type": connection.conn_type}
    if connection.conn_type in SQL_TYPES:
        log.info("connection %s (%s) answers", conn_id, connection.conn_type)
        return {**reference, "login": connection.login}
    log.info(
        "connection %s (%s) is defined; for this type the server is not contacted before its first use",
        conn_id,
        connection.conn_type,
    )
    return reference
