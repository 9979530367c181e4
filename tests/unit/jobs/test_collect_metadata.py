"""The job `collect_metadata`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job
from airflow_wall.storage.backends import open_tables

SHOP = """
dag_id: shop
tasks:
  - id: load
    uses: ingest
    with:
      source: landing
      target: bronze/orders
      contract: {owner: sales, columns: {who: {type: varchar, pii: true, description: The customer}}}
  - group: more
    tasks:
      - {id: clean, uses: transform, with: {inputs: {o: "bronze/*"}, target: silver/orders, sql: SELECT 1}}
      - {id: extra, uses: ingest, with: {source: "sql://shop/customers", target: "bronze/{{ params.name }}"}}
"""


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shop.yaml").write_text(SHOP)
    (tmp_path / "dags" / "broken.yaml").write_text("dag_id: [")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.csv").write_text("who,price\nada,2\neve,3\n")
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE customers (id INTEGER, email TEXT)")
        database.execute("INSERT INTO customers VALUES (1, 'a'), (2, 'b')")
    return tmp_path


def call(lake: Path, kind: str, task: str = "catalog", **arguments: object) -> dict[str, object]:
    part = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    run = Run("catalog", "run-1", task, 1, part, lake, lake, lake / "dags")
    connection = ConnectionInfo("shop", "sqlite", host=str(lake / "shop.db"))
    return run_job(Job(kind, arguments, run), lambda _: connection)


def test_each_source_and_table_of_the_folder_has_a_row(lake: Path) -> None:
    contract = {"owner": "sales", "columns": {"who": {"type": "varchar", "pii": True, "description": "The customer"}}}
    call(lake, "ingest", "load", source="landing", target="bronze/orders", contract=contract)
    result = call(lake, "collect_metadata", target="catalog/all")
    assert (result["sources"], result["tables"], result["problems"]) == (2, 3, 2)
    rows = {row["name"]: row for row in open_tables(lake).read("catalog/all").to_pylist()}
    orders, landing, customers = (rows[name] for name in ("bronze/orders", "landing", "sql://shop/customers"))
    assert (orders["kind"], orders["rows"], orders["parts"], orders["newest"]) == ("table", 2, 1, "20130701T000000Z")
    assert (orders["owner"], orders["written_by"], orders["pii"]) == ("sales", "catalog.load", "who")
    assert orders["bytes"] > 0
    assert orders["changed"] is not None
    assert json.loads(orders["columns"]) == [
        {"name": "who", "type": "string", "pii": True, "description": "The customer"},
        {"name": "price", "type": "int64"},
    ]
    assert (landing["kind"], landing["parts"], landing["newest"]) == ("source", 1, "landing/a.csv")
    assert (landing["bytes"], landing["owner"], landing["pii"]) == (len("who,price\nada,2\neve,3\n"), "sales", "who")
    assert (customers["rows"], customers["problem"]) == (2, None)
    assert [column["name"] for column in json.loads(customers["columns"])] == ["id", "email"]
    assert rows["silver/orders"]["problem"].startswith("there is no table `silver/orders`")
    assert rows["silver/orders"]["pipelines"] == "shop"


def test_a_folder_elsewhere_is_rejected(lake: Path) -> None:
    with pytest.raises(DataError, match="`pipelines` must be a folder below"):
        call(lake, "collect_metadata", target="catalog/all", pipelines="..")
