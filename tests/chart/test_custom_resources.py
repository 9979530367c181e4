"""Custom resources fit the CRDs of their operators, and say nothing that those would drop."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from rendering import CASES, Manifest, Rendered

FOLDER = Path(__file__).parent / "crds"
KINDS = ("ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "ExternalSecret", "HTTPRoute")

KNOWN = {
    "ScaledObject": {
        "scaleTargetRef", "pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount", "fallback", "advanced", "triggers",
        "fallback.failureThreshold", "fallback.replicas", "fallback.behavior", "advanced.horizontalPodAutoscalerConfig",
        "advanced.horizontalPodAutoscalerConfig.behavior",
    },
    "TriggerAuthentication": {"secretTargetRef"},
    "ServiceMonitor": {"selector", "endpoints", "selector.matchLabels"},
    "PrometheusRule": {"groups"},
    "ExternalSecret": {"refreshInterval", "secretStoreRef", "target", "data", "target.name", "target.creationPolicy"},
    "HTTPRoute": {"parentRefs", "hostnames", "rules"},
}  # fmt: skip
"""Kind to the fields of its `spec` that its operator documents; of others, a cluster says nothing and drops them."""


def customs() -> list[Manifest]:
    return [manifest for arguments in CASES.values() for manifest in Rendered(*arguments).of(*KINDS)]


def test_there_are_some_of_each() -> None:
    assert {each["kind"] for each in customs()} == set(KINDS)


def test_they_fit_their_crds() -> None:
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("needs Node.js and `make crds`")
    found = customs()
    broken = [{**each, "spec": {**each["spec"], field: value}} for each, field, value in _mistakes(found)]
    done = subprocess.run(
        [node, "validate.mjs"], input=json.dumps(found + broken), cwd=FOLDER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    faults = json.loads(done.stdout)
    assert faults[: len(found)] == [""] * len(found)
    assert all(faults[len(found) :])  # else the validators would let anything through


def _mistakes(found: list[Manifest]) -> list[tuple[Manifest, str, object]]:
    wrong = {
        "ScaledObject": "pollingInterval",
        "ServiceMonitor": "endpoints",
        "PrometheusRule": "groups",
        "ExternalSecret": "data",
    }
    return [(each, wrong[each["kind"]], "x") for each in found if each["kind"] in wrong]


def test_they_say_nothing_that_their_operator_does_not_know() -> None:
    for each in customs():
        known = KNOWN[each["kind"]]
        for field, value in each["spec"].items():
            assert field in known
            if isinstance(value, dict) and any(name.startswith(f"{field}.") for name in known):
                assert {f"{field}.{inner}" for inner in value} <= known


def test_scaled_workers_go_by_their_own_settings() -> None:
    found = Rendered(*CASES["autoscaling-values"])
    assert {each["metadata"]["name"].removeprefix("wall-airflow-wall-") for each in found.of("ScaledObject")} == {
        "worker", "worker-heavy", "worker-gpu", "triggerer", "triggerer-tasks", "triggerer-slow",
    }  # fmt: skip
    for scaled in found.of("ScaledObject"):
        spec = scaled["spec"]
        # A database that does not answer must never look like no work.
        assert spec["fallback"]["replicas"] >= 1
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        if "worker" in scaled["metadata"]["name"]:
            pod = found.one("Deployment", scaled["metadata"]["name"].removeprefix("wall-airflow-wall-"))["spec"][
                "template"
            ]["spec"]
            assert spec["cooldownPeriod"] >= pod["terminationGracePeriodSeconds"]
    (authentication,) = found.of("TriggerAuthentication")
    (target,) = authentication["spec"]["secretTargetRef"]
    assert (target["name"], target["key"]) == ("airflow-wall-keda", "kedaConnection")
    for trigger in (trigger for each in found.of("ScaledObject") for trigger in each["spec"]["triggers"]):
        assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
