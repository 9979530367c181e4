"""The request to Dataproc, built from the typed keys, and the labels that identify our clusters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_wall.clusters.base import Owner, duration_of
from airflow_wall.clusters.cloud import IDLE, LONGEST, merge_request, spot_of

MARK = "airflow-wall"
"""Label of every cluster that airflow-wall starts; its value is the deployment."""

PREFIX = "airflow-wall-"
MANAGED = (
    "lifecycle_config",
    *(f"gce_cluster_config.metadata.{PREFIX}{key}" for key in ("deployment", "dag", "run")),
)
"""Keys of a `ClusterConfig` that `extra` must not set."""


def request_of(name: str, config: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    """Return the `Cluster` to create, without its project."""
    network = config.get("network") or {}
    idle = duration_of(config, "idle_ttl", IDLE)
    longest = duration_of(config, "max_ttl", LONGEST)
    # Labels allow few characters, so the values that the reaper needs are in the metadata of the machines.
    machines: dict[str, Any] = {"metadata": _metadata(owner)}
    for key, field in (("subnet", "subnetwork_uri"), ("service_account", "service_account"), ("tags", "tags")):
        if network.get(key):
            machines[field] = network[key]
    if network.get("internal_only") is not None:
        machines["internal_ip_only"] = network["internal_only"]
    cluster_config: dict[str, Any] = {
        "gce_cluster_config": machines,
        "master_config": {"num_instances": 1, **_machine(config.get("master") or {})},
        "software_config": {"image_version": config["image"], "properties": {}},
        "lifecycle_config": {
            "idle_delete_ttl": {"seconds": int(idle.total_seconds())},
            "auto_delete_ttl": {"seconds": int(longest.total_seconds())},
        },
        **_workers(config),
    }
    if not cluster_config["worker_config"]["num_instances"]:
        cluster_config["software_config"]["properties"]["dataproc:dataproc.allow.zero.workers"] = "true"
    scaling = config.get("autoscaling")
    if scaling:
        cluster_config["autoscaling_config"] = {"policy_uri": scaling["policy"]}
    if config.get("bucket"):
        cluster_config["config_bucket"] = config["bucket"]
    cluster_config = merge_request(cluster_config, config.get("extra") or {}, MANAGED)
    return {"cluster_name": name, "config": cluster_config, "labels": labels_of(name, config, owner)}


def _workers(config: Mapping[str, Any]) -> dict[str, Any]:
    workers = config.get("workers") or {}
    staying, spot = spot_of(workers, 2)  # Dataproc requires two
    groups: dict[str, Any] = {"worker_config": {"num_instances": staying, **_machine(workers)}}
    if spot:
        groups["secondary_worker_config"] = {"num_instances": spot, "preemptibility": "SPOT"}
    return groups


def _machine(of: Mapping[str, Any]) -> dict[str, str]:
    return {"machine_type_uri": of.get("machine") or "n1-standard-4"}


def labels_of(name: str, config: Mapping[str, Any], owner: Owner) -> dict[str, str]:
    """Return the labels of airflow-wall and of the configuration."""
    ours = {MARK: label(owner.deployment), f"{PREFIX}name": name, f"{PREFIX}dag": label(owner.pipeline)}
    return {**(config.get("labels") or {}), **ours}


def label(text: str) -> str:
    """Return text with the characters and length that a label allows."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63]


def _metadata(owner: Owner) -> dict[str, str]:
    return {
        f"{PREFIX}deployment": owner.deployment,
        f"{PREFIX}dag": owner.pipeline,
        f"{PREFIX}run": owner.run_id,
    }


def owner_of(cluster: Mapping[str, Any]) -> Owner | None:
    """Return the owner of a cluster; None if its metadata is not complete."""
    metadata = _inside(cluster, "config", "gce_cluster_config", "metadata")
    values = [metadata.get(f"{PREFIX}{key}") for key in ("deployment", "dag", "run")]
    return Owner(*(str(value) for value in values)) if all(values) else None


def lease_of(cluster: Mapping[str, Any]) -> timedelta:
    """Return the longest lifetime of a cluster."""
    text = str(_inside(cluster, "config", "lifecycle_config").get("auto_delete_ttl") or "")
    return timedelta(seconds=float(text.removesuffix("s"))) if text.endswith("s") else LONGEST


def nodes_of(cluster: Mapping[str, Any]) -> int:
    """Return the number of machines that a cluster has now."""
    config = _inside(cluster, "config")
    groups = ("master_config", "worker_config", "secondary_worker_config")
    return sum(int(_inside(config, group).get("num_instances") or 0) for group in groups)


def _inside(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) or {}
    return value
