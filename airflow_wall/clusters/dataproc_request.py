"""What Dataproc is asked for, made of the typed keys; and the marks by which a cluster of ours is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_wall.clusters.base import Owner, duration_of
from airflow_wall.clusters.cloud import IDLE, LONGEST, merged, spot_of

MARK = "airflow-wall"
"""Label of every cluster of ours; its value is the deployment."""

PREFIX = "airflow-wall-"
MANAGED = (
    "lifecycle_config",
    *(f"gce_cluster_config.metadata.{PREFIX}{key}" for key in ("deployment", "dag", "run")),
)
"""Keys of a `ClusterConfig` that `extra` may not touch."""


def request_of(name: str, config: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    """The `Cluster` to create, without its project."""
    network = config.get("network") or {}
    idle = duration_of(config, "idle_ttl", IDLE)
    longest = duration_of(config, "max_ttl", LONGEST)
    # Labels take few characters, so what the reaper asks Airflow for stands in the metadata of the machines.
    machines: dict[str, Any] = {"metadata": _metadata(owner)}
    for key, field in (("subnet", "subnetwork_uri"), ("service_account", "service_account"), ("tags", "tags")):
        if network.get(key):
            machines[field] = network[key]
    if network.get("internal_only") is not None:
        machines["internal_ip_only"] = network["internal_only"]
    made: dict[str, Any] = {
        "gce_cluster_config": machines,
        "master_config": {"num_instances": 1, **_machine(config.get("master") or {})},
        "software_config": {"image_version": config["image"], "properties": {}},
        "lifecycle_config": {
            "idle_delete_ttl": {"seconds": int(idle.total_seconds())},
            "auto_delete_ttl": {"seconds": int(longest.total_seconds())},
        },
        **_workers(config),
    }
    if not made["worker_config"]["num_instances"]:
        made["software_config"]["properties"]["dataproc:dataproc.allow.zero.workers"] = "true"
    scaling = config.get("autoscaling")
    if scaling:
        made["autoscaling_config"] = {"policy_uri": scaling["policy"]}
    if config.get("bucket"):
        made["config_bucket"] = config["bucket"]
    made = merged(made, config.get("extra") or {}, MANAGED)
    return {"cluster_name": name, "config": made, "labels": labels_of(name, config, owner)}


def _workers(config: Mapping[str, Any]) -> dict[str, Any]:
    workers = config.get("workers") or {}
    staying, spot = spot_of(workers, 2)  # as many as Dataproc wants
    made: dict[str, Any] = {"worker_config": {"num_instances": staying, **_machine(workers)}}
    if spot:
        made["secondary_worker_config"] = {"num_instances": spot, "preemptibility": "SPOT"}
    return made


def _machine(of: Mapping[str, Any]) -> dict[str, str]:
    return {"machine_type_uri": of.get("machine") or "n1-standard-4"}


def labels_of(name: str, config: Mapping[str, Any], owner: Owner) -> dict[str, str]:
    """Our labels, and those of the configuration."""
    ours = {MARK: label(owner.deployment), f"{PREFIX}name": name, f"{PREFIX}dag": label(owner.pipeline)}
    return {**(config.get("labels") or {}), **ours}


def label(text: str) -> str:
    """Text as a label may hold it."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63]


def _metadata(owner: Owner) -> dict[str, str]:
    return {
        f"{PREFIX}deployment": owner.deployment,
        f"{PREFIX}dag": owner.pipeline,
        f"{PREFIX}run": owner.run_id,
    }


def owner_of(cluster: Mapping[str, Any]) -> Owner | None:
    """Whose cluster it is; None where it does not say all of it."""
    metadata = _inside(cluster, "config", "gce_cluster_config", "metadata")
    found = [metadata.get(f"{PREFIX}{key}") for key in ("deployment", "dag", "run")]
    return Owner(*(str(each) for each in found)) if all(found) else None


def lease_of(cluster: Mapping[str, Any]) -> timedelta:
    """How long a cluster may live."""
    text = str(_inside(cluster, "config", "lifecycle_config").get("auto_delete_ttl") or "")
    return timedelta(seconds=float(text.removesuffix("s"))) if text.endswith("s") else LONGEST


def nodes_of(cluster: Mapping[str, Any]) -> int:
    """How many machines it has now."""
    config = _inside(cluster, "config")
    groups = ("master_config", "worker_config", "secondary_worker_config")
    return sum(int(_inside(config, group).get("num_instances") or 0) for group in groups)


def _inside(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) or {}
    return value
