"""The values for those who stay on the official chart say what this chart renders."""

from __future__ import annotations

import yaml
from rendering import ROOT, Rendered


def test_they_scale_by_the_same_query_and_windows() -> None:
    values = yaml.safe_load((ROOT / "docs/deployment/official-chart-values.yaml").read_text())
    theirs = values["workers"]["celery"]
    ours = Rendered("--set", "workers.celery.keda.enabled=true").one("ScaledObject", "worker")["spec"]
    assert " ".join(theirs["keda"]["query"].split()) == " ".join(ours["triggers"][0]["metadata"]["query"].split())
    for key in ("pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount"):
        assert theirs["keda"][key] == ours[key]
    behavior = theirs["keda"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"] == ours["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    worker = Rendered().one("Deployment", "worker")["spec"]
    assert theirs["terminationGracePeriodSeconds"] == worker["template"]["spec"]["terminationGracePeriodSeconds"]
    assert theirs["strategy"]["rollingUpdate"] == worker["strategy"]["rollingUpdate"]
