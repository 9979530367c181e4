"""Prove that a connection can be used, before anything is started that needs it."""

from __future__ import annotations

import logging
from typing import Any

from airflow_wall.databases import SQL_TYPES, sql_engine
from airflow_wall.errors import ConnectionFault
from airflow_wall.jobs.document import Env

log = logging.getLogger(__name__)


def get_credentials(env: Env, *, conn_id: str) -> dict[str, Any]:
    """
    Look a connection up and, where it holds SQL tables, log in once.

    :return: A reference, never a secret: `conn_id`, `conn_type` and, of a database, the login's name. Elsewhere a login
        may be part of what has to be kept: of AWS it is the id of an access key.
    :raises ConnectionFault: the connection is missing, incomplete, or its server refuses it.
    """
    try:
        connection = env.connections(conn_id)
        if connection.conn_type in SQL_TYPES:
            sql_engine(connection, project=env.run.project).dispose()
    except ConnectionFault as error:
        raise ConnectionFault(f"`conn_id`: {error.message}", hint=error.hint) from error
    reference = {"conn_id": conn_id, "conn_type": connection.conn_type}
    if connection.conn_type in SQL_TYPES:
        log.info("connection %s (%s) answers", conn_id, connection.conn_type)
        return {**reference, "login": connection.login}
    log.info(
        "connection %s (%s) is defined; a server of this type is first asked when it is used",
        conn_id,
        connection.conn_type,
    )
    return reference
