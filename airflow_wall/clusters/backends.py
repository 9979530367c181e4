"""Every kind of cluster by the `type` that the YAML names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_wall.clusters.base import Cluster
from airflow_wall.clusters.local import LocalCluster
from airflow_wall.errors import ClusterError

CLUSTERS: dict[str, Callable[[str, Mapping[str, Any], Path], Cluster]] = {
    "local": LocalCluster,
}


def open_cluster(name: str, config: Mapping[str, Any], state: Path) -> Cluster:
    """
    The cluster of that name.

    :param config: Its `type`, and what that type takes.
    :param state: Folder of our own state in the lake.
    :raises ClusterError: the type is not known.
    """
    kind = config.get("type")
    if kind not in CLUSTERS:
        known = ", ".join(f"`{name}`" for name in CLUSTERS)
        raise ClusterError(
            f"`cluster.type` must be one of {known}, got `{kind}`", hint="write e.g. `cluster: {type: local}`"
        )
    return CLUSTERS[kind](name, config, state)
