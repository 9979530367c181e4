"""Every kind of cluster by the `type` that the YAML names, and those that other packages bring."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from airflow_wall.clusters.base import Backend, Cluster, Fleet, Site
from airflow_wall.errors import ClusterError

CLUSTERS = {
    "local": "airflow_wall.clusters.local",
    "spark": "airflow_wall.clusters.spark",
    "emr": "airflow_wall.clusters.emr",
    "dataproc": "airflow_wall.clusters.dataproc",
}
"""Module of each kind; imported when it is used."""

GROUP = "airflow_wall.clusters"
"""Entry points by which other packages bring kinds: the name is the `type`, the object a `Backend`."""


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> Cluster:
    """
    The cluster of that name.

    :param config: Its `type`, and what that type takes.
    :raises ClusterError: the type is not known.
    """
    return _backend(config).open_cluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> Fleet:
    """
    All clusters of that kind, in the place that the configuration names.

    :raises ClusterError: the type is not known.
    """
    return _backend(config).open_fleet(config, site)


def _backend(config: Mapping[str, Any]) -> Backend:
    kind = config.get("type")
    if kind in CLUSTERS:
        return importlib.import_module(CLUSTERS[kind])
    brought = {point.name: point for point in entry_points(group=GROUP)}
    if kind in brought:
        found: Backend = brought[kind].load()
        return found
    known = ", ".join(f"`{name}`" for name in (*CLUSTERS, *brought))
    raise ClusterError(
        f"`cluster.type` must be one of {known}, got `{kind}`", hint="write e.g. `cluster: {type: local}`"
    )
