"""The request to EMR, built from the typed keys, and the tags that identify our clusters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow_wall.clusters.base import Owner, duration_of
from airflow_wall.clusters.cloud import IDLE, LONGEST, merge_request, spot_of

PREFIX = "airflow-wall-"
MANAGED = (
    "Name",
    "Tags",
    "AutoTerminationPolicy",
    "Instances.KeepJobFlowAliveWhenNoSteps",
    "Instances.TerminationProtected",
)
"""Keys of `RunJobFlow` that `extra` must not set."""

_LONGEST_VALUE = 256


def request_of(name: str, config: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    """Return the arguments of `RunJobFlow`."""
    network = config.get("network") or {}
    instances: dict[str, Any] = {
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        "InstanceGroups": list(_groups(config)),
    }
    for key, field in (("subnet", "Ec2SubnetId"), ("key_pair", "Ec2KeyName")):
        if network.get(key):
            instances[field] = network[key]
    request: dict[str, Any] = {
        "Name": name,
        "ReleaseLabel": config["image"],
        "Applications": [{"Name": "Spark"}],
        "Instances": instances,
        "JobFlowRole": network.get("instance_profile") or "EMR_EC2_DefaultRole",
        "ServiceRole": network.get("service_role") or "EMR_DefaultRole",
        "StepConcurrencyLevel": config.get("parallel_jobs") or 10,
        "AutoTerminationPolicy": {"IdleTimeout": int(duration_of(config, "idle_ttl", IDLE).total_seconds())},
        "Tags": tags_of(name, config, owner),
    }
    if config.get("log_uri"):
        request["LogUri"] = config["log_uri"]
    scaling = config.get("autoscaling")
    if scaling:
        limits = {
            "UnitType": "Instances",
            "MinimumCapacityUnits": scaling["min"],
            "MaximumCapacityUnits": scaling["max"],
        }
        request["ManagedScalingPolicy"] = {"ComputeLimits": limits}
    extra = config.get("extra") or {}
    result = merge_request(request, extra, MANAGED)
    if "InstanceFleets" in result["Instances"]:  # EMR accepts only one of the two
        result["Instances"].pop("InstanceGroups")
    return result


def _groups(config: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    workers = config.get("workers") or {}
    worker = workers.get("machine") or "m5.xlarge"
    staying, spot = spot_of(workers, 1)  # the first worker holds data that must not vanish
    yield _group("MASTER", (config.get("master") or {}).get("machine") or "m5.xlarge", 1)
    if staying:
        yield _group("CORE", worker, staying)
    if spot:
        yield {**_group("TASK", worker, spot), "Market": "SPOT"}


def _group(role: str, machine: str, count: int) -> dict[str, Any]:
    return {
        "Name": role.lower(),
        "InstanceRole": role,
        "InstanceType": machine,
        "InstanceCount": count,
        "Market": "ON_DEMAND",
    }


def tags_of(name: str, config: Mapping[str, Any], owner: Owner) -> list[dict[str, str]]:
    """Return the tags of airflow-wall and of the configuration."""
    longest = int(duration_of(config, "max_ttl", LONGEST).total_seconds())
    ours = {
        "name": name,
        "deployment": owner.deployment,
        "dag": owner.pipeline,
        "run": owner.run_id,
        "lease": str(longest),
    }
    written = {f"{PREFIX}{key}": written_tag(value) for key, value in ours.items()}
    return [{"Key": key, "Value": value} for key, value in {**(config.get("labels") or {}), **written}.items()]


def written_tag(text: str) -> str:
    """Return text encoded for a tag: characters that tags do not allow become `=XX`, as in mail."""
    encoded = re.sub(r"[^A-Za-z0-9_.:/+@ -]", lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), text)
    return encoded if len(encoded) <= _LONGEST_VALUE else ""


def read_tag(text: str) -> str:
    """Return the text that `written_tag` encoded."""
    return re.sub(
        r"(?:=[0-9A-F]{2})+", lambda match: bytes.fromhex(match[0].replace("=", "")).decode(errors="replace"), text
    )


def owner_of(tags: Iterable[Mapping[str, str]]) -> Owner | None:
    """Return the owner of the cluster with these tags; None if they do not name a deployment."""
    values = {tag["Key"].removeprefix(PREFIX): read_tag(tag["Value"]) for tag in tags if tag["Key"].startswith(PREFIX)}
    if not values.get("deployment"):
        return None
    return Owner(values["deployment"], values.get("dag", ""), values.get("run", ""))


def lease_of(tags: Iterable[Mapping[str, str]]) -> timedelta:
    """Return the longest lifetime of a cluster with these tags."""
    for tag in tags:
        if tag["Key"] == f"{PREFIX}lease" and tag["Value"].isdigit():
            return timedelta(seconds=int(tag["Value"]))
    return LONGEST
