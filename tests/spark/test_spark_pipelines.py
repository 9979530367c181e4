"""A whole pipeline on Spark by `airflow-wall run`: the YAML, Airflow's own tasks, and pyspark in Airflow's own venv."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="make spark installs it")

from spark_clusters import processes_of, until

from airflow_wall.clusters.base import Owner, cluster_name
from airflow_wall.storage.delta import DeltaStore

pytestmark = pytest.mark.timeout(1200)

COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"
PIPELINE = """
dag_id: orders
start_date: 2024-03-01
storage: ./lake
tasks:
  - id: start_cluster
    uses: start_cluster
    with: {cluster: {type: spark, max_ttl: 1h}}
  - {id: ingest, uses: ingest, needs: start_cluster, with: {cluster: start_cluster, source: landing, target: bronze/orders}}
  - id: totals
    uses: transform
    needs: ingest
    with:
      cluster: start_cluster
      sql: select customer, sum(amount) as total, avg(amount) as mean from orders group by customer
      inputs: {orders: bronze/orders}
      target: silver/totals
  - {id: stop_cluster, uses: stop_cluster, needs: totals}
"""


def test_pipeline_runs_on_spark(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "orders.yaml").write_text(PIPELINE)
    (tmp_path / "lake" / "landing").mkdir(parents=True)
    (tmp_path / "lake" / "landing" / "a.csv").write_text("customer,amount\nana,1\nbo,2\nana,4\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    ran = subprocess.run(
        [COMMAND, "run", "dags/orders.yaml", "--date", "2024-03-02"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = DeltaStore(tmp_path / "lake").read("silver/totals")
    assert rows.to_pydict() == {"customer": ["ana", "bo"], "total": [5, 2], "mean": [2.5, 2.0]}
    documents = tmp_path / "lake" / "_wall" / "clusters"
    assert list(documents.glob("*.json")) == []
    names = {path.name.removeprefix(".").removesuffix(".json.lock") for path in documents.glob(".*.json.lock")}
    assert len(names) == 1
    (name,) = names
    assert name.startswith(cluster_name(Owner("", "orders", ""), "")[:12])
    until(lambda: not processes_of(name), 20)
