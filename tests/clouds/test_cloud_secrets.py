"""
No secret of a cloud's connection is anywhere but where it belongs, whether what uses it succeeds or fails.

Waits for: whole runs of pipelines, and every process of the machine is looked at meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="make clouds installs it")
pytest.importorskip("airflow.providers.amazon", reason="make clouds installs it")
pytest.importorskip("airflow.providers.google", reason="make clouds installs it")

import grpc
from canaries import Canaries
from cluster_python import PYTHON
from emr_server import REGION, World, emr

COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"
PIPELINE = """
dag_id: canary
start_date: 2024-03-01
default_args: {retries: 0}
storage: ./lake
tasks:
  - {id: proof, uses: get_credentials, with: {conn_id: cloud}}
  - id: start_cluster
    uses: start_cluster
    needs: proof
    with: {cluster: {CLUSTER, conn_id: cloud, python: PYTHON}}
  - {id: ingest, uses: ingest, needs: start_cluster, with: {cluster: start_cluster, source: landing, target: gold/orders}}
  - {id: stop_cluster, uses: stop_cluster, needs: ingest}
  - {id: wrong_proof, uses: get_credentials, with: {conn_id: cloud, role: x}}
  - {id: no_proof, uses: get_credentials, with: {conn_id: broken}}
"""
EMR = f"type: emr, region: {REGION}, image: emr-7.9.0"
DATAPROC = "type: dataproc, region: europe-west1, image: 2.3-debian12"
FAILING = {"wrong_proof", "no_proof"}


def run(folder: Path, canaries: Canaries, kind: str, connections: dict[str, Any], **more: str) -> str:
    """Return the output of a run of the pipeline; some of its tasks always fail."""
    for part in ("dags", "lake/landing"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "dags" / "canary.yaml").write_text(PIPELINE.replace("CLUSTER", kind).replace("PYTHON", PYTHON))
    (folder / "lake" / "landing" / "a.csv").write_text("id,value\n1,10\n2,20\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    given = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(values) for name, values in connections.items()}
    with canaries.watched():
        ran = subprocess.run(
            [COMMAND, "run", "dags/canary.yaml", "--date", "2024-03-02", "--retry-wait", "1s"],
            cwd=folder,
            env={**kept, **given, **more, "AIRFLOW__WALL__DEPLOYMENT": "test"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    text = ran.stdout + ran.stderr
    assert ran.returncode == 1, text
    for task in FAILING:
        assert f"task `{task}`" in text
    return text


@pytest.fixture
def world() -> Iterator[World]:
    with emr() as served:
        yield served


def slow(fails: str) -> Any:
    """Return a parameter of a test that only `make full` runs: each is a whole run."""
    return pytest.param(fails, marks=pytest.mark.slow)


@pytest.mark.parametrize("fails", [None, *map(slow, ("RunJobFlow", "AddJobFlowSteps", "TerminateJobFlows"))])
def test_no_secret_of_aws_is_anywhere(world: World, tmp_path: Path, fails: str | None) -> None:
    denied = (400, "AccessDeniedException", f"not authorized to perform: elasticmapreduce:{fails}")
    world.refuse = lambda operation: denied if operation == fails else None
    canaries = Canaries()
    aws = {
        "conn_type": "aws",
        "login": canaries.plain("access key"),
        "password": canaries.awkward("secret key"),
        "extra": {"aws_session_token": canaries.plain("session token"), "endpoint_url": world.url},
    }
    broken = {
        "conn_type": "aws",
        "password": canaries.awkward("broken: secret key"),
        "extra": {
            "endpoint_url": f"http://me:{canaries.plain('broken: password of the URL')}@127.0.0.1:9",
            "session_kwargs": {"aws_session_token": canaries.plain("broken: session token"), "nonsense": True},
        },
    }
    text = run(tmp_path, canaries, EMR, {"cloud": aws, "broken": broken}, AWS_ENDPOINT_URL=world.url)
    assert ("success     ingest" in text) is (fails in (None, "TerminateJobFlows")), text
    texts = {"printed": text, "requests": json.dumps(world.requests, default=str)}
    assert canaries.found(tmp_path, texts=texts) == []


@pytest.mark.parametrize("fails", [None, *map(slow, ("CreateCluster", "SubmitJob", "DeleteCluster"))])
def test_no_secret_of_google_is_anywhere(
    google_world: Any, google_server: Any, tmp_path: Path, fails: str | None
) -> None:
    denied = (grpc.StatusCode.PERMISSION_DENIED, f"not authorized: {fails}")
    google_world.refuse = lambda method, request: denied if method == fails else None
    canaries = Canaries()
    key = google_server.key
    canaries.known["private key"] = key["private_key"].splitlines()[5]
    odd = {**key, "private_key": canaries.awkward("broken: private key")}
    connections = {
        "cloud": {"conn_type": "google_cloud_platform", "extra": {"project": "p", "keyfile_dict": json.dumps(key)}},
        "broken": {"conn_type": "google_cloud_platform", "extra": {"project": "p", "keyfile_dict": json.dumps(odd)}},
    }
    text = run(tmp_path, canaries, DATAPROC, connections)
    assert ("success     ingest" in text) is (fails in (None, "DeleteCluster")), text
    assert google_world.tokens
    canaries.known |= {f"token {number}": token for number, token in enumerate(google_world.tokens)}
    requests = {"jobs": str(google_world.jobs), "clusters": str(google_world.requests)}
    assert canaries.found(tmp_path, texts={"printed": text, **requests}) == []
