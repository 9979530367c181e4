"""The client of each kind of cluster, built from Airflow's connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_wall.clusters.backends import CLUSTERS
from airflow_wall.errors import ClusterError, ConnectionFault
from airflow_wall.registry import class_name, load_object


def open_client(kind: str, config: Mapping[str, Any]) -> Any:
    """
    Return the client of a kind of cluster: the class in the module with its name, e.g. `EmrCalls` in `hooks.emr`.

    :param config: The `cluster` block of the YAML, with `conn_id` and `region`.
    :raises ClusterError: the extra of the client is not installed.
    :raises ConnectionFault: the connection is not defined.
    """
    try:
        client = load_object(f"airflow_wall.hooks.{kind}:{class_name(kind)}Calls")
    except ModuleNotFoundError as error:
        extra = getattr(CLUSTERS[kind], "EXTRA")  # noqa: B009  only kinds with a client have it
        raise ClusterError(
            f"`cluster.type: {kind}` needs Airflow's provider for {extra.capitalize()}: no module `{error.name}`",
            hint=f"install `airflow-wall[{extra}]` on every worker",
        ) from error
    try:
        return client(config)
    except AirflowNotFoundException as error:
        raise ConnectionFault(
            f"`cluster.conn_id`: {error}", hint="define the connection, or set `cluster.conn_id` to an existing one"
        ) from error
