from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from airflow_wall.connections.databases import sql_engine
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.engines.spark.whole_job import whole_job
from airflow_wall.engines.spark_request import VARIABLE, SparkRequest
from airflow_wall.errors import DataError, Interrupted
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job


@pytest.fixture
def run(tmp_path: Path) -> Run:
    day = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")
    (tmp_path / "lake" / "landing").mkdir(parents=True)
    return Run("orders", "manual", "ingest", 1, day, tmp_path / "lake", tmp_path, tmp_path)


def ingest(run: Run, **arguments: str) -> Job:
    return Job("ingest", {"source": "landing", "target": "bronze/orders", **arguments}, run)


def test_job_is_done_once_and_its_lines_are_followed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in a process without the variable that names Spark: with it, the process would wait for Spark in vain."""
    monkeypatch.setenv(VARIABLE, json.dumps({"master": "spark://127.0.0.1:1", "conf": {}, "staging": str(tmp_path)}))
    (tmp_path / "lake" / "landing" / "a.csv").write_text("customer,amount\nana,1\n")
    threads = threading.active_count()
    sent = whole_job(ingest(run).to_json(), tmp_path / "job")
    log: list[str] = []
    with sent.followed(log.append):
        result = sent()
    assert result == {
        "table": "bronze/orders",
        "rows": 1,
        "rejected": 0,
        "files": 1,
        "version": 0,
        "changed": True,
        "warnings": [],
    }
    assert log[-1] == "table bronze/orders: slice 20130701T000000Z has 1 rows of 1 sources"
    assert threading.active_count() == threads
    with pytest.raises(Interrupted, match="Spark lost the executor that ran this step"):
        sent()  # as an executor would that begins when the first is lost


def test_errors_are_those_of_the_job(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        whole_job(ingest(run, format="xml").to_json(), tmp_path / "job")()
    with pytest.raises(DataError) as own:
        run_job(ingest(run, format="xml"), lambda conn_id: pytest.fail(conn_id))
    assert (error.value.message, error.value.hint) == (own.value.message, own.value.hint)


def test_what_reads_a_connection_is_not_sent(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = ConnectionInfo("shop", "sqlite", host=str(tmp_path / "shop.db"))
    engine = sql_engine(shop, project=tmp_path)
    with engine.begin() as database:
        database.exec_driver_sql("CREATE TABLE orders (id INTEGER, amount REAL)")
        database.exec_driver_sql("INSERT INTO orders VALUES (1, 2.5)")
    engine.dispose()
    nobody = SparkRequest("spark://127.0.0.1:1", {}, tmp_path / "staging")
    monkeypatch.setenv(VARIABLE, nobody.to_environment()[VARIABLE])
    arguments = {"source": "sql://shop/orders", "target": "bronze/orders"}
    job = Job("ingest", arguments, run, connections=("shop",))
    assert run_job(job, lambda conn_id: shop)["rows"] == 1
