"""
The events that Airflow's OpenLineage provider sends of a real run.

Waits for: a real run of a few small tasks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wall_command import airflow_wall

pytest.importorskip("airflow.providers.openlineage")
pytestmark = pytest.mark.integration

PIPELINE = """\
dag_id: p
schedule: "@daily"
start_date: 2026-01-01
storage: ./lake
default_args: {retries: 0}
tasks:
  - id: ingest
    uses: ingest
    with:
      source: landing
      target: bronze/orders
      contract:
        description: One row per order.
        owner: sales
        columns: {id: bigint, price: double, pieces: {type: bigint, description: How many were bought.}}
  - id: transform
    uses: transform
    needs: ingest
    with:
      inputs: {orders: bronze/orders}
      target: silver/orders
      sql: SELECT id, price * pieces AS total, 'shop' AS source FROM orders
  - id: check_integrity
    uses: check_integrity
    needs: transform
    with:
      table: silver/orders
      checks: [{not_null: {columns: [id]}}, {range: {column: total, max: 10, severity: warn}}]
  - id: publish
    uses: publish
    needs: check_integrity
    with: {release: p, table: silver/orders, to: [{to: "sql://db/s", key: [id]}, {to: "files://orders"}]}
  - id: judge
    uses: check_integrity
    needs: publish
    with: {table: silver/orders, checks: [{row_count: {min: 100}}], gate: false}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "lake/landing").mkdir(parents=True)
    (folder / "p.yaml").write_text(PIPELINE)
    (folder / "connections.yaml").write_text("db: {conn_type: sqlite, host: db.sqlite}\n")
    (folder / "lake/landing/one.csv").write_text("id,price,pieces\n1,2.5,2\n2,10,3\n")
    transport = json.dumps({"type": "file", "log_file_path": str(folder / "events"), "append": True})
    airflow_wall(folder, "run", "p.yaml", code=1, AIRFLOW__OPENLINEAGE__TRANSPORT=transport)
    return folder


@pytest.fixture(scope="module")
def events(folder: Path) -> dict[str, dict[str, Any]]:
    """Job -> the event of its end."""
    read = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    return {event["job"]["name"]: event for event in read if event["eventType"] in ("COMPLETE", "FAIL")}


def named(datasets: list[dict[str, Any]], folder: Path) -> list[str]:
    return [f"{dataset['namespace']} {dataset['name']}".replace(str(folder), "") for dataset in datasets]


def test_each_task_names_what_it_read_and_wrote(events: dict[str, dict[str, Any]], folder: Path) -> None:
    names = {
        job: (named(event["inputs"], folder), named(event["outputs"], folder))
        for job, event in events.items()
        if job != "p"
    }
    silver = "file /lake/silver/orders"
    assert names == {
        "p.ingest": (["file /lake/landing"], ["file /lake/bronze/orders"]),
        "p.transform": (["file /lake/bronze/orders"], [silver]),
        "p.check_integrity": ([silver], []),
        "p.publish": ([silver], ["sqlite:///db.sqlite s", "file /lake/published/orders"]),
        "p.judge": ([silver], []),
    }
    assert events["p.judge"]["eventType"] == "FAIL"


def test_outputs_have_schema_rows_version_and_the_origin_of_columns(
    events: dict[str, dict[str, Any]], folder: Path
) -> None:
    (ingested,), (computed,) = events["p.ingest"]["outputs"], events["p.transform"]["outputs"]
    assert [(column["name"], column["type"]) for column in ingested["facets"]["schema"]["fields"]] == [
        ("id", "int64"),
        ("price", "double"),
        ("pieces", "int64"),
    ]
    assert ingested["facets"]["schema"]["fields"][2]["description"] == "How many were bought."
    assert ingested["facets"]["documentation"]["description"] == "One row per order."
    assert [owner["name"] for owner in ingested["facets"]["ownership"]["owners"]] == ["sales"]
    assert [dataset["outputFacets"]["outputStatistics"]["rowCount"] for dataset in (ingested, computed)] == [2, 2]
    assert computed["facets"]["version"]["datasetVersion"] == "0"
    origins = {
        column: [(source["name"].replace(str(folder), ""), source["field"]) for source in entry["inputFields"]]
        for column, entry in computed["facets"]["columnLineage"]["fields"].items()
    }
    bronze = "/lake/bronze/orders"
    assert origins == {"id": [(bronze, "id")], "total": [(bronze, "pieces"), (bronze, "price")]}
    assert events["p.transform"]["job"]["facets"]["sql"]["query"].startswith("SELECT id, price * pieces")


def test_checks_are_assertions_also_when_they_stop_the_pipeline(events: dict[str, dict[str, Any]]) -> None:
    results = {}
    for job in ("p.check_integrity", "p.judge"):
        (checked,) = events[job]["inputs"]
        assertions = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
        results[job] = [(entry["assertion"], entry["success"], entry.get("severity")) for entry in assertions]
    assert results == {
        "p.check_integrity": [
            ("range of total", False, "warn"),
            ("row_count", True, None),  # by default
            ("not_null of id", True, None),
        ],
        "p.judge": [("row_count", False, "error")],
    }
