"""Whole pipelines on EMR by `airflow-wall run`: the YAML, Airflow's own tasks and retries, the wire, jobs as processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="make clouds installs it")
pytest.importorskip("airflow.providers.amazon", reason="make clouds installs it")

from cluster_python import PYTHON
from emr_server import REGION, World, emr

COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"
PIPELINE = f"""
dag_id: orders
start_date: 2024-03-01
default_args: {{retries: 1}}
storage: ./lake
tasks:
  - {{id: get_credentials, uses: get_credentials, with: {{conn_id: wall_aws}}}}
  - id: start_cluster
    uses: start_cluster
    needs: get_credentials
    with: {{cluster: {{type: emr, region: {REGION}, conn_id: wall_aws, image: emr-7.9.0, python: {PYTHON}}}}}
  - {{id: ingest, uses: ingest, needs: start_cluster, with: {{cluster: start_cluster, source: landing, target: gold/orders}}}}
  - {{id: stop_cluster, uses: stop_cluster, needs: ingest}}
  - {{id: start_sender, uses: start_sender, needs: [stop_cluster], with: {{release: shop}}}}
  - id: persist
    uses: persist
    needs: start_sender
    with: {{release: start_sender, table: gold/orders, to: sql://shop/orders}}
  - {{id: stop_sender, uses: stop_sender, needs: persist}}
"""
REAPER = f"""
dag_id: reaper
start_date: 2024-03-01
tasks:
  - {{id: reap, uses: reap_clusters, with: {{clusters: [{{type: emr, region: {REGION}, conn_id: wall_aws}}]}}}}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with emr() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, world: World) -> Path:
    from moto.emr.models import emr_backends

    emr_backends.reset()
    world.requests.clear()
    world.refuse = lambda operation: None
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "orders.yaml").write_text(PIPELINE)
    (tmp_path / "dags" / "reaper.yaml").write_text(REAPER)
    (tmp_path / "lake" / "landing").mkdir(parents=True)
    (tmp_path / "lake" / "landing" / "a.csv").write_text("id,value\n1,10\n2,20\n")
    return tmp_path


def run(project: Path, world: World, name: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    connection = {"conn_type": "aws", "login": "key", "password": "s3cr3t", "extra": {"endpoint_url": world.url}}
    environment["AIRFLOW_CONN_WALL_AWS"] = json.dumps(connection)
    environment["AIRFLOW_CONN_SHOP"] = json.dumps({"conn_type": "sqlite", "host": "lake/shop.db"})
    environment["AIRFLOW__WALL__DEPLOYMENT"] = "test"
    environment["AWS_ENDPOINT_URL"] = world.url
    command = [COMMAND, "run", f"dags/{name}.yaml", "--date", "2024-03-02", "--retry-wait", "1s"]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def published(project: Path) -> list[tuple[int, int]]:
    with sqlite3.connect(project / "lake" / "shop.db") as database:
        rows = database.execute("select id, value from orders order by id").fetchall()
    database.close()
    return [(int(one), int(other)) for one, other in rows]


def test_a_run_starts_uses_and_stops_its_cluster(project: Path, world: World) -> None:
    ran = run(project, world, "orders")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert published(project) == [(1, 10), (2, 20)]
    assert len(world.asked("RunJobFlow")) == len(world.asked("AddJobFlowSteps")) == 1
    assert world.alive == []
    logs = "".join(path.read_text(errors="replace") for path in (project / ".airflow").rglob("*.log"))
    assert "gold/orders: slice 20240302T000000Z" in logs  # what the job said on the cluster
    assert "s3cr3t" not in logs + json.dumps(world.requests) + ran.stdout


def test_good_scores_are_published_when_the_stop_fails_the_run_is_red_and_the_reaper_ends_it(
    project: Path, world: World
) -> None:
    denied = (400, "AccessDeniedException", "not authorized to perform: elasticmapreduce:TerminateJobFlows")
    world.refuse = lambda operation: denied if operation == "TerminateJobFlows" else None
    ran = run(project, world, "orders")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert published(project) == [(1, 10), (2, 20)]
    assert "connection `wall_aws` (`cluster.conn_id`) may not stop cluster `wall-orders-" in ran.stdout
    assert "release `shop` is committed and clients see it; but `stop_cluster` did not stop the cluster" in ran.stdout
    assert len(world.alive) == 1
    world.refuse = lambda operation: None
    ran = run(project, world, "reaper")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert world.alive == []
