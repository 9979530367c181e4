"""Airflow connections of variables, for scripts and notebooks without Airflow."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_wall.connections.info import ConnectionInfo, check_conn_id
from airflow_wall.errors import ConnectionFault


def connection_of_environment(conn_id: str, /) -> ConnectionInfo:
    """
    Return the connection in the variable `AIRFLOW_CONN_<ID>`, which must hold JSON.

    :raises ConnectionFault: there is no such variable, or it holds something else.
    """
    variable = f"AIRFLOW_CONN_{check_conn_id(conn_id).upper()}"
    try:
        values: dict[str, Any] = json.loads(os.environ[variable])
        extra = values.get("extra") or {}
        return ConnectionInfo(
            conn_id,
            values["conn_type"],
            login=values.get("login"),
            password=values.get("password"),
            extra=json.loads(extra) if isinstance(extra, str) else extra,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConnectionFault(
            f"connection `{conn_id}` is not defined: the variable `{variable}` must hold it as JSON",
            hint='set it, e.g. to `{"conn_type": "aws", "extra": {"region_name": "eu-west-1"}}`, or leave it out of '
            "the address to use the identity of this machine",
        ) from None
