"""A pipeline of two days, from landing to a release in files, as jobs in a lake of any kind."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from airflow_wall.connections.environment import connection_of_environment
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job
from airflow_wall.lake.lake import Lake
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.run_history import RunHistory

MODEL = """
from airflow_wall.models.base import Trained
from sklearn.linear_model import LinearRegression

def train(rows):
    return Trained(LinearRegression().fit(rows[["x"]], rows["y"]), ["x"], "y")
"""
DAYS = (1, 2)


def run_pipeline(address: str, folder: Path, days: Sequence[int] = DAYS) -> dict[str, Any]:
    """Run the pipeline in a lake, once for each day, and return all that it has left there."""
    lake = Lake(address, connection_of_environment)
    (folder / "own.py").write_text(MODEL)
    for day in days:
        rows = "".join(f"2013-07-0{day} {i % 24:02}:00:00,{i},{2 * i + i % 3}\n" for i in range(72))
        lake.objects.put(f"landing/a/2013-07-0{day}.csv", f"time,x,y\n{rows}".encode())
        _run_day(lake, folder, day)
    return left_by_pipeline(lake)


def _run_day(lake: Lake, folder: Path, day: int) -> None:
    part = Slice(f"2013070{day}T000000Z", f"2013-07-0{day}T00:00:00+00:00", f"2013-07-0{day}")

    def run(kind: str, **arguments: Any) -> dict[str, Any]:
        job = Job(kind, arguments, Run("shop", f"run-{day}", kind, 1, part, lake, folder, folder))
        return run_job(job, connection_of_environment)

    assert run("check_new_data", source="landing")["new"] == 1
    run("ingest", source="landing/a", target="bronze/a")
    sql = "SELECT time, x, y FROM a WHERE x > 3"
    run("transform", sql=sql, inputs={"a": "bronze/a"}, target="silver/a")
    inputs = {"rows": "silver/a"}
    run(
        "retrain",
        entrypoint="own:train",
        inputs=inputs,
        model="m",
        promote={"metric": "rmse"},
        holdout={"random": True},
    )
    run("predict", model="m", inputs={"rows": "silver/a"}, target="gold/scores", keep=["time"])
    run("check_integrity", table="gold/scores", checks=[{"row_count": {"min": 1}}])
    run("start_sender", release="shop")
    checkers = ["check_integrity"]
    run("stage", release="shop", part="files", table="gold/scores", to="files://shop", checked_by=checkers)
    run("stop_sender", release="shop", expected=["files"])


def left_by_pipeline(lake: Lake) -> dict[str, Any]:
    """Return tables, models, the release that clients see, and the history."""
    tables = open_tables(lake)
    rows = {name: tables.read(name, hidden=True).to_pylist() for name in tables.tables()}
    registry = open_registry(lake)
    current = json.loads((lake.objects.get("published/shop/current.json") or (b"{}", ""))[0])
    released = [
        row
        for file in current["files"]
        for row in pq.read_table(io.BytesIO((lake.objects.get(f"published/shop/{file}") or (b"", ""))[0])).to_pylist()
    ]
    champion = registry.champion("m")
    history = [(event["task"], event["event"]) for event in RunHistory(lake).events("shop")]
    return {
        "tables": {name: _digest(values) for name, values in rows.items()},
        "counts": {name: len(values) for name, values in rows.items()},
        "versions": [registry.record("m", version).sha256 for version in registry.versions("m")],
        "champion": champion and champion.version,
        "release": (current["release"], current["files"]),
        "released": (len(released), _digest(released)),
        "history": history,
    }


def _digest(values: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()
