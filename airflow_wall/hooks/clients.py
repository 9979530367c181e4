"""The client of each kind of cluster, made from Airflow's connections."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_wall.errors import ClusterError, ConnectionFault

CLIENTS = {
    "emr": ("airflow_wall.hooks.emr:EmrCalls", "amazon"),
    "dataproc": ("airflow_wall.hooks.dataproc:DataprocCalls", "google"),
}
"""Kind of cluster to the class of its client and the extra of this package that brings what it needs."""


def open_client(kind: str, config: Mapping[str, Any]) -> Any:
    """
    Return the client of a kind of cluster.

    :param config: What the YAML says under `cluster`: its `conn_id` and `region` count.
    :raises ClusterError: what the client needs is not installed.
    :raises ConnectionFault: the connection is not defined.
    """
    reference, extra = CLIENTS[kind]
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"`cluster.type: {kind}` needs Airflow's provider for {extra.capitalize()}: no module `{error.name}`",
            hint=f"install `airflow-wall[{extra}]` on every worker",
        ) from error
    try:
        return found(config)
    except AirflowNotFoundException as error:
        raise ConnectionFault(
            f"`cluster.conn_id`: {error}", hint="define the connection, or name one that is in `cluster.conn_id`"
        ) from error
