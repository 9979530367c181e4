"""Steps on a cluster of Spark: the same document as on any other, the same guarantees, the same rows."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.lake.lake import Lake

pytest.importorskip("pyspark", reason="make spark installs it")

from lightgbm import LGBMRegressor
from sklearn.linear_model import LinearRegression
from spark_clusters import SLICE, SMALL, processes_of, run_of, site_of

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Deleted
from airflow_wall.clusters.kinds.spark import SparkCluster
from airflow_wall.engines.spark.engine import Engine
from airflow_wall.engines.spark_request import SparkRequest
from airflow_wall.errors import ClusterError, UserCodeError, WallError
from airflow_wall.job import Job, Run
from airflow_wall.jobs.base import run_job
from airflow_wall.models import formats
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Candidate, Decision, Feature, FeatureSummary, ModelLineage, Window
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
TRAINS = """
import os
import re
from pathlib import Path

from sklearn.linear_model import LinearRegression

from airflow_wall.models.base import Trained

def train(rows):
    parent = Path(f"/proc/{os.getppid()}/cmdline").read_text().replace("\\0", " ")
    print("trained below", parent, "with", os.environ.get("AIRFLOW_WALL_MEMORY"), flush=True)
    return Trained(LinearRegression().fit(rows[["n"]], rows["distance"]), features=["n"], target="distance")

def fail(rows):
    raise ValueError(f"not with {len(rows) > 0} rows")
"""
LANDED = {"a.csv": "customer,amount,when\nana,1,2024-03-01\nbo,2.5,\n", "b.csv": "customer,amount\nana,4\n"}


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
    (folder / "trains.py").write_text(TRAINS)
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


def test_failures_are_reported_as_the_users(do: Callable[..., dict[str, Any]]) -> None:
    inputs = {"raw": "bronze/domain_1"}
    with pytest.raises(UserCodeError, match=r"`sql`: Spark: \[DIVIDE_BY_ZERO\]"):
        do(target="silver/bad", sql="select n // (n - n) as x from raw", inputs=inputs)
    with pytest.raises(UserCodeError, match="`Median` is not one of the things that are known"):
        do(target="silver/bad", sql="select median(n) as x from raw", inputs=inputs)
    with pytest.raises(UserCodeError, match='"missing" not found'):
        do(target="silver/bad", sql="select missing from raw", inputs=inputs)


def both(running: SparkCluster, lake: Path, kind: str, **arguments: Any) -> tuple[Any, Any, list[str]]:
    """Return the results of a job on Spark and by the embedded engine, with two targets, and the log of the first."""
    log: list[str] = []

    def done(do: Callable[[Job], dict[str, Any]], name: str) -> dict[str, Any] | tuple[str, str, str | None]:
        named = {key: value.format(name) if isinstance(value, str) else value for key, value in arguments.items()}
        try:
            return do(Job(kind, named, run_of(lake)))
        except WallError as error:
            return type(error).__name__, error.message, error.hint

    on_spark = done(lambda job: running.run(job.to_json(), {}, log.append), "spark")
    return on_spark, done(lambda job: run_job(job, lambda conn_id: pytest.fail(conn_id)), "own"), log


def test_ingest_is_done_by_an_executor(running: SparkCluster, lake: Path) -> None:
    landing = lake / "lake" / "landing"
    landing.mkdir(parents=True)
    for name, text in LANDED.items():
        (landing / name).write_text(text)
    on_spark, own, log = both(running, lake, "ingest", source="landing", target="bronze/{}_orders")
    counts = {"rows": 3, "rejected": 0, "files": 2, "version": 0, "changed": True, "warnings": []}
    assert on_spark == {"table": "bronze/spark_orders", **counts}
    assert {**own, "table": "bronze/spark_orders"} == on_spark
    store = DeltaStore(lake / "lake")
    assert store.read("bronze/spark_orders", hidden=True).equals(store.read("bronze/own_orders", hidden=True))
    assert f"table bronze/spark_orders: slice {SLICE.id} has 3 rows of 2 sources" in log
    again, _, _ = both(running, lake, "ingest", source="landing", target="bronze/{}_orders")
    assert again == {**on_spark, "changed": False}

    (landing / "b.csv").write_text('customer,amount\nana,"4\n')
    on_spark, own, _ = both(running, lake, "ingest", source="landing", target="bronze/{}_orders")
    assert on_spark == own
    assert on_spark[0] == "DataError"
    assert "b.csv" in on_spark[1]
    assert list(running.folder.glob("staging/*/*")) == []


def test_retrain_is_done_by_an_executor(running: SparkCluster, lake: Path) -> None:
    step = {"inputs": {"rows": "bronze/domain_1"}, "model": "{}_distance", "entrypoint": "trains:train"}
    on_spark, own, log = both(running, lake, "retrain", **step)
    assert on_spark["rows_trained"] == 64
    assert {**own, "model": "spark_distance"} == on_spark
    (line,) = [line for line in log if line.startswith("trained below")]
    assert "pyspark.daemon" in line
    assert line.endswith("with 2GB")
    registry = open_registry(Lake(lake / "lake"))
    made, expected = registry.record("spark_distance", 1), registry.record("own_distance", 1)
    assert (made.metrics, made.window, made.lineage) == (expected.metrics, expected.window, expected.lineage)

    on_spark, own, _ = both(running, lake, "retrain", **{**step, "entrypoint": "trains:fail"})
    assert on_spark == own
    assert on_spark[0] == "UserCodeError"
    assert "ValueError: not with True rows" in on_spark[1]


def register(
    lake: Path, estimator: Any, *features: tuple[str, str], training: Mapping[str, FeatureSummary] | None = None
) -> None:
    """Make a fitted estimator the next champion of the model `delays`."""
    registry = open_registry(Lake(lake / "lake"))
    model_format = formats.format_of(estimator)
    candidate = Candidate(
        model_format=model_format,
        content=formats.dump(estimator, model_format),
        kind="regression",
        features=tuple(Feature(*feature) for feature in features),
        target="dep_delay",
        metrics={"rmse": 1.0},
        rows_trained=80,
        rows_held_out=1,
        window=Window("all"),
        lineage=ModelLineage("churn", "manual", SLICE.id, SLICE.order, "own:train", "", {}),
        training=training or {},
    )
    record, champion = registry.register("delays", candidate), registry.champion("delays")
    decision = Decision(True, "rmse", 1.0, None, None, "")
    registry.promote("delays", record.version, decision, expected=champion and champion.version)


def rows_of(lake: Path, table: str) -> list[dict[str, Any]]:
    return sorted(DeltaStore(lake / "lake").read(table).to_pylist(), key=repr)


def test_predict_scores_where_the_rows_are(running: SparkCluster, lake: Path) -> None:
    """Executors score part by part, three rows at once here, and the table is that of the embedded engine."""
    train = pa.concat_tables([flights(1), flights(2)]).to_pandas()
    columns = {"distance": "int64", "wind_gust": "double", "temp": "double", "precip": "string", "n": "int64"}
    booster = LGBMRegressor(n_estimators=20, min_child_samples=2, min_data_per_group=2, verbose=-1)
    booster.fit(train[list(columns)].astype({"precip": "category"}), train["dep_delay"].fillna(3.0))
    register(lake, booster, *columns.items())
    few = SparkCluster(
        running.name,
        {**SMALL, "conf": {**SMALL["conf"], "spark.sql.execution.arrow.maxRecordsPerBatch": 3}},
        running.site,
    )
    step = {"model": "delays", "inputs": {"rows": "bronze/domain_*"}}
    log: list[str] = []
    first = few.run(Job("predict", {**step, "target": "gold/spark"}, run_of(lake)).to_json(), {}, log.append)
    assert first == {"table": "gold/spark", "rows": 80, "model": "delays", "model_version": 1, "skipped_rows": 0}
    own = run_job(Job("predict", {**step, "target": "gold/own"}, run_of(lake)), lambda conn_id: pytest.fail(conn_id))
    assert own == {**first, "table": "gold/own"}
    scores = rows_of(lake, "gold/spark")
    assert scores == rows_of(lake, "gold/own")
    assert len({row["score"] for row in scores}) > 10
    store = DeltaStore(lake / "lake")
    assert store.schema("gold/spark") == store.schema("gold/own")
    again = few.run(Job("predict", {**step, "target": "gold/spark"}, run_of(lake)).to_json(), {}, log.append)
    assert again == first
    assert store.version("gold/spark") == 0  # nothing was to be written


def test_faults_of_predict_are_those_of_the_embedded_engine(running: SparkCluster, lake: Path) -> None:
    def on_spark(**arguments: Any) -> WallError:
        step = {"model": "delays", "inputs": {"rows": "bronze/domain_1"}, "target": "gold/bad", **arguments}
        with pytest.raises(WallError) as error:
            running.run(Job("predict", step, run_of(lake)).to_json(), {}, print)
        with pytest.raises(WallError) as own:
            run_job(Job("predict", step, run_of(lake)), lambda conn_id: pytest.fail(conn_id))
        # Which row is the first to be named depends on the order, and that is not alike.
        assert error.value.message.partition(", the first for")[0] == own.value.message.partition(", the first for")[0]
        assert error.value.hint == own.value.hint
        assert type(error.value) is type(own.value)
        return error.value

    register(lake, LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), ("wind_gust", "double"))
    assert "cannot score these rows: Input X contains NaN" in on_spark().message  # met by an executor
    endless = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    endless.coef_ = np.array([np.inf])
    register(lake, endless, ("distance", "int64"))
    assert "gave 40 scores of 40 that are not finite" in on_spark().message
    summaries = {
        "wind_gust": FeatureSummary((20, 20), (1.5,)),
        "precip": FeatureSummary((20, 20, 0), texts=("0.1", "0.2")),
    }
    register(
        lake,
        LinearRegression().fit([[1.0, 1.0], [2.0, 2.0]], [1.0, 2.0]),
        ("wind_gust", "double"),
        ("precip", "string"),
        training=summaries,
    )
    lost = on_spark().message
    assert "it has only nulls in `wind_gust`, which had values when the model was trained" in lost
    assert re.search(r"more than 20% of the values are new in `precip` \(\d+ of 40, e.g. `0.0`\)", lost)
    register(lake, LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), ("missing", "double"))
    assert "has no column `missing`" in on_spark().message
    assert "got `absent`" in on_spark(version=1, keep=["absent"]).message


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")  # as the engine does
def test_executors_without_a_requirement_of_a_step_are_reported(
    running: SparkCluster, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"  # with nothing but its standard library
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(bare))
    found = running._require_running()
    with Engine(
        SparkRequest(running._check_master(found), running._conf(), tmp_path / "staging"), run_of(lake)
    ) as engine:
        schema = engine.add("rows", ["bronze/domain_1"], [DeltaStore(lake / "lake").files("bronze/domain_1")])
        with pytest.raises(ClusterError) as error:
            engine.map_rows("rows", iter, schema)
        with pytest.raises(ClusterError) as of_whole:
            engine.run_whole_job(Job("ingest", {"source": "landing", "target": "bronze/x"}, run_of(lake)))
    for each in (error.value, of_whole.value):
        assert each.message.startswith(
            "`cluster`: the Python of Spark's executors cannot run this step: ModuleNotFound"
        )
        assert each.hint is not None


def test_embedded_engine_and_a_master_that_is_there(
    do: Callable[..., dict[str, Any]], lake: Path, running: SparkCluster
) -> None:
    """A second cluster of the same machine that uses the first one's master, and starts nothing."""
    master = running.ensure()["master"]
    site = site_of(lake)
    leaning = SparkCluster(
        "wall-leaning-1", {"type": "spark", "master": master, "conf": {"spark.executor.memory": "1g"}}, site
    )
    assert leaning.ensure() == {"type": "spark", "name": "wall-leaning-1", "master": master}
    assert leaning.links() == {}
    with urlopen(running.links()["console"]) as page:
        assert b"Spark Master at" in page.read()
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
