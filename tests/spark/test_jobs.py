"""Steps on a cluster of Spark: the same document as on any other, the same guarantees, the same rows."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="make spark installs it")

from spark_clusters import SLICE, SMALL, processes_of, run_of, site_of

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Deleted
from airflow_wall.clusters.spark import SparkCluster
from airflow_wall.errors import UserCodeError
from airflow_wall.jobs.document import Job, Run
from airflow_wall.jobs.table import run_job
from airflow_wall.storage.delta import DeltaStore

pytestmark = pytest.mark.timeout(1200)

NORMALIZE = Path(__file__).parents[2] / "dags" / "sql" / "normalize.sql"
MEASURES = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
OWN = """
from pyspark.sql import functions as F

def plus(n):
    return n + 1

def totals(flights, other, factor):
    next_one = F.udf(plus, "long")  # found again by the executors, in the pipeline's folder
    return flights.groupBy("domain").agg(F.sum(next_one("n") * factor).alias("total")).orderBy("domain")
"""


def flights(day: int) -> pa.Table:
    """Rows as they are ingested: some measurements are numbers, some are texts because of one reading."""
    rows = 40
    hours = [dt.datetime(2013, 7, day, 5 + place % 7, 30 * (place % 2)) for place in range(rows)]
    columns: dict[str, Any] = {
        "domain": ["domain_1"] * rows,
        "origin": ["EWR"] * rows,
        "time_hour": hours,
        "dep_delay": [None if place % 5 == 0 else float(place - 7) for place in range(rows)],
        "distance": [1000 + place for place in range(rows)],
        "n": list(range(rows)),
        **{name: [70.5 + place % 3 for place in range(rows)] for name in MEASURES},
    }
    columns["precip"] = ["T" if place % 4 == 0 else f"0.{place % 10}" for place in range(rows)]
    columns["wind_gust"] = [None] * rows
    return pa.table({**columns, "wind_gust": pa.array(columns["wind_gust"], pa.float64())})


@pytest.fixture(scope="module")
def lake(running: SparkCluster) -> Path:
    """The folder of the shared cluster, with two tables in two slices; one has a column that the other has not."""
    folder = running.site.state.parents[1]
    store = DeltaStore(folder / "lake")
    for day in (1, 2):
        slice_id = f"201307{day:02}T000000Z"
        store.replace_slice("bronze/domain_1", flights(day), slice_id=slice_id, number=day)
        more = flights(day).append_column("extra", pa.array(["x"] * 40))
        store.replace_slice("bronze/domain_2", more, slice_id=slice_id, number=day)
    (folder / "own.py").write_text(OWN)
    return folder


@pytest.fixture
def do(running: SparkCluster, lake: Path) -> Callable[..., dict[str, Any]]:
    """Run a transform on the cluster."""

    def run(on: SparkCluster = running, **arguments: Any) -> dict[str, Any]:
        return on.run(Job("transform", arguments, run_of(lake)).to_json(), {}, print)

    return run


def embedded(run: Run, **arguments: Any) -> dict[str, Any]:
    return run_job(Job("transform", arguments, run), lambda conn_id: pytest.fail(conn_id))


def test_sql_of_the_article_gives_the_same_table_and_once(
    do: Callable[..., dict[str, Any]], lake: Path, running: SparkCluster
) -> None:
    step = {"sql": NORMALIZE.read_text(), "inputs": {"raw": "bronze/domain_*"}}
    first = do(target="silver/spark", **step)
    assert first == {"table": "silver/spark", "rows": 7, "version": 0, "changed": True}
    own = embedded(run_of(lake), target="silver/own", **step)
    assert {**own, "table": "silver/spark"} == first
    store = DeltaStore(lake / "lake")
    assert store.read("silver/spark", hidden=True).equals(store.read("silver/own", hidden=True))
    assert store.slices("silver/spark") == [SLICE.id]
    assert do(target="silver/spark", **step) == {**first, "changed": False}
    assert list(running.folder.glob("staging/*/*")) == []


def test_function_is_called_with_frames_of_spark(do: Callable[..., dict[str, Any]], lake: Path) -> None:
    inputs = {"flights": "bronze/domain_1", "other": "bronze/domain_2"}
    result = do(target="silver/totals", entrypoint="own:totals", inputs=inputs, parameters={"factor": 2}, mode="full")
    assert result["rows"] == 1
    rows = DeltaStore(lake / "lake").read("silver/totals")
    assert rows.to_pydict() == {"domain": ["domain_1"], "total": [2 * 2 * sum(range(1, 41))]}


def test_failures_are_told_as_the_users(do: Callable[..., dict[str, Any]]) -> None:
    inputs = {"raw": "bronze/domain_1"}
    with pytest.raises(UserCodeError, match=r"`sql`: Spark: \[DIVIDE_BY_ZERO\]"):
        do(target="silver/bad", sql="select n // (n - n) as x from raw", inputs=inputs)
    with pytest.raises(UserCodeError, match="`Median` is not one of the things that are known"):
        do(target="silver/bad", sql="select median(n) as x from raw", inputs=inputs)
    with pytest.raises(UserCodeError, match='"missing" not found'):
        do(target="silver/bad", sql="select missing from raw", inputs=inputs)


def test_embedded_engine_and_a_master_that_is_there(
    do: Callable[..., dict[str, Any]], lake: Path, running: SparkCluster
) -> None:
    """A second cluster of the same machine that uses the first one's master, and starts nothing."""
    master = running.ensure()["master"]
    site = replace(site_of(lake), state=lake / "lake" / "_wall")
    leaning = SparkCluster(
        "wall-leaning-1", {"type": "spark", "master": master, "conf": {"spark.executor.memory": "1g"}}, site
    )
    assert leaning.ensure() == {"type": "spark", "name": "wall-leaning-1", "master": master}
    sql = {"sql": "select count(*) as n from raw", "inputs": {"raw": "bronze/domain_1"}}
    assert do(leaning, target="silver/leaning", **sql)["rows"] == 1
    assert set(processes_of("wall-leaning-1").values()) == set()
    assert leaning.delete() == Deleted(ended=("wall-leaning-1",))
    assert sorted(processes_of(running.name).values()) == ["master", "watchdog", "worker"]

    plain = open_cluster(running.name, {**SMALL, "engine": "embedded"}, running.site)
    assert (
        plain.run(
            Job(
                "transform",
                {"target": "silver/plain", "sql": "select median(n) as m from raw", "inputs": sql["inputs"]},
                run_of(lake),
            ).to_json(),
            {},
            print,
        )["rows"]
        == 1
    )


def test_no_secret_of_the_task_is_handed_to_spark(running: SparkCluster) -> None:
    """The environment of a task holds keys and connections; those of master, worker and watchdog hold none."""
    for pid, kind in processes_of(running.name).items():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"canary" not in arguments
        assert b"canary" not in environment, kind
    assert os.environ["AIRFLOW_CONN_CANARY"] == "canary"
