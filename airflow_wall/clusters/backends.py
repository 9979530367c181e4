"""The registry of kinds of clusters. To add a kind, add a module to `airflow_wall.clusters.kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_wall.clusters.base import Backend, Cluster, ClusterSite, Fleet
from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import ClusterError
from airflow_wall.registry import LazyRegistry, modules_of

_PACKAGE = "airflow_wall.clusters.kinds"

CLUSTERS: LazyRegistry[Backend] = LazyRegistry(
    {name: f"{_PACKAGE}.{name}" for name in modules_of(_PACKAGE)}, "airflow_wall.clusters"
)
"""`type` of the YAML -> its module: the kinds of this package, and those of other packages."""


def open_cluster(name: str, config: Mapping[str, Any], site: ClusterSite) -> Cluster:
    """
    Return the cluster with that name.

    :param config: Its `type`, and the keys of that type.
    :raises ClusterError: the type is not known.
    """
    return _backend(config).open_cluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: ClusterSite) -> Fleet:
    """
    Return all clusters of that kind in the region or lake that the configuration names.

    :raises ClusterError: the type is not known.
    """
    return _backend(config).open_fleet(config, site)


def _backend(config: Mapping[str, Any]) -> Backend:
    kind = config.get("type")
    if kind not in CLUSTERS:
        raise ClusterError(
            f"`cluster.type` must be one of {listed(CLUSTERS)}, got `{kind}`",
            hint=did_you_mean(str(kind), CLUSTERS) or "write e.g. `cluster: {type: local}`",
        )
    return CLUSTERS[str(kind)]
