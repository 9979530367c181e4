"""`make e2e-kubernetes` installs valid manifests, as far as this can be tested without a cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml
from rendering import CASES, ROOT, Rendered

SCRIPT = ROOT / "tests/e2e/kubernetes.sh"
VALUES = ROOT / "tests/e2e/kubernetes-values.yaml"


def test_its_values_give_the_workers_it_waits_for() -> None:
    found = Rendered(*CASES["dev-values"], "--values", str(VALUES))
    assert "worker-burst" in found.workloads()
    assert found.one("ScaledObject", "worker-burst")["spec"]["maxReplicaCount"] == 3
    pipeline = yaml.safe_load(found.one("ConfigMap", "pipelines")["data"]["burst.yaml"])
    assert pipeline["default_args"]["queue"] == "burst"
    assert "wall-airflow-wall-worker-burst" in {each["metadata"]["name"] for each in found.of("Deployment")}


def test_without_a_cluster_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    for program, code in (("helm", 0), ("kubectl", 1)):
        (tmp_path / program).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / program).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: no cluster answers; set KUBECONFIG, or `kind create cluster`\n"
    assert done.stdout == ""
