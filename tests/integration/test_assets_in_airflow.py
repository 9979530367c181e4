"""
Tables, models and releases as assets of a real Airflow, and DAGs that are scheduled on them.

Waits for: an Airflow of its own, a run of two producers and the runs that they start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow_server import AirflowServer, until

pytestmark = pytest.mark.integration

DATE = "2026-01-05T00:00:00Z"

PRODUCER = """\
dag_id: shop
start_date: 2026-01-01
tasks:
  - {id: ingest, uses: ingest, with: {source: landing/orders, target: bronze/orders}}
  - id: clean
    uses: transform
    needs: ingest
    with: {inputs: {raw: bronze/orders}, sql: "SELECT id::bigint AS id, amount::double AS amount FROM raw", target: silver/orders}
  - id: check
    uses: check_integrity
    needs: clean
    with: {table: silver/orders, checks: [{row_count: {min: 1}}, {range: {column: amount, max: 10, severity: warn}}]}
  - id: publish
    uses: publish
    needs: check
    with: {release: shop, table: silver/orders, to: [{to: files://orders}]}
"""

CONSUMERS = """\
dag_id: after_release
start_date: 2026-01-01
schedule: {assets: "lake/release:shop"}
tasks:
  - {id: note}
---
dag_id: after_table
start_date: 2026-01-01
schedule: {assets: lake/silver/orders}
tasks:
  - {id: note}
"""

BY_HAND = '''\
"""Tasks in Python that write a table; one of them is mapped."""

from datetime import datetime

from airflow.sdk import DAG, Asset

from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.transform import TransformOperator

with DAG("by_hand", schedule=None, start_date=datetime(2026, 1, 1)):
    load = IngestOperator(task_id="load", source="landing/orders", target="by_hand/orders", outlets=[Asset("mine")])
    select = TransformOperator.partial(task_id="select", inputs={"raw": "by_hand/orders"}, sql="SELECT id FROM raw")
    load >> select.expand(target=["by_hand/one", "by_hand/two"])

with DAG("after_by_hand", schedule=[Asset("lake/by_hand/orders")], start_date=datetime(2026, 1, 1)):
    IngestOperator(task_id="load", source="landing/orders", target="after/orders")
'''


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    project = tmp_path_factory.mktemp("assets")
    (project / "lake/landing/orders").mkdir(parents=True)
    (project / "lake/landing/orders/a.csv").write_text("id,amount\n1,2.5\n2,11.0\n", encoding="utf-8")
    (project / "dags").mkdir()
    (project / "dags/shop.yaml").write_text(PRODUCER, encoding="utf-8")
    (project / "dags/after.yaml").write_text(CONSUMERS, encoding="utf-8")
    (project / "dags/by_hand.py").write_text(BY_HAND, encoding="utf-8")
    (project / "dags/load.py").write_text(
        "from airflow_wall import load_dags\n\nglobals().update(load_dags(__file__))\n"
    )
    with AirflowServer(project / "airflow", project / "dags", {}) as server:
        wanted = {"shop", "after_release", "after_table", "by_hand", "after_by_hand"}
        until(lambda: wanted <= server.active_dags() or server.import_errors())
        assert not server.import_errors()
        for dag_id in sorted(wanted - {"shop", "by_hand"}):
            server.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        yield server


@pytest.fixture(scope="module")
def events(airflow: AirflowServer) -> dict[str, list[dict[str, Any]]]:
    """Facts of the events of each asset, after a run of both producers."""
    for dag_id in ("shop", "by_hand"):
        run_id = airflow.trigger(dag_id, DATE)
        state, tasks = airflow.finished(dag_id, run_id)
        assert state == "success", (tasks, airflow.last_lines())
    found: dict[str, list[dict[str, Any]]] = {}
    for event in airflow.get("/assets/events", limit=100, order_by="timestamp")["asset_events"]:
        found.setdefault(event["name"], []).append(event["extra"])
    return found


def _runs(airflow: AirflowServer, dag_id: str) -> list[str]:
    return [run["state"] for run in airflow.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]]


def test_assets_are_listed_with_their_producers(airflow: AirflowServer) -> None:
    assets = {asset["name"]: asset for asset in airflow.get("/assets", limit=100)["assets"]}
    producers = {
        name: [(task["dag_id"], task["task_id"]) for task in asset["producing_tasks"]] for name, asset in assets.items()
    }
    assert producers["lake/bronze/orders"] == [("shop", "ingest")]
    assert producers["lake/silver/orders"] == [("shop", "check")]
    assert producers["lake/release:shop"] == [("shop", "publish")]
    assert producers["lake/by_hand/orders"] == [("by_hand", "load")]
    assert producers["mine"] == [("by_hand", "load")]
    assert "lake/by_hand/one" not in producers


def test_events_say_rows_version_and_verdict(events: dict[str, list[dict[str, Any]]]) -> None:
    (ingested,) = events["lake/bronze/orders"]
    assert {"verdict": "unchecked", "rows": 2, "rejected": 0, "changed": True}.items() <= ingested.items()
    (checked,) = events["lake/silver/orders"]
    assert {"verdict": "warned", "rows": 2, "passed": 1, "warned": 1}.items() <= checked.items()
    assert isinstance(checked["version"], int)
    (released,) = events["lake/release:shop"]
    assert {"verdict": "published", "rows": 2, "targets": {"files://orders": 2}}.items() <= released.items()
    assert released["version"].startswith("shop-20260105")


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("dag_id", ["after_release", "after_table", "after_by_hand"])
def test_a_dag_runs_once_after_the_asset_that_it_is_scheduled_on(airflow: AirflowServer, dag_id: str) -> None:
    assert until(lambda: "success" in _runs(airflow, dag_id) and _runs(airflow, dag_id)) == ["success"]


@pytest.mark.usefixtures("events")
def test_runs_make_no_new_version_of_a_dag(airflow: AirflowServer) -> None:
    for dag_id in ("shop", "by_hand"):
        assert airflow.get(f"/dags/{dag_id}/dagVersions")["total_entries"] == 1
