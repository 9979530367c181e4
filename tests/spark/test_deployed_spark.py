"""A Spark cluster that version 0.1.0 started goes on under this version: it is found, used and stopped."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="make spark installs it")

import pyarrow as pa
import pyspark
from deployed_watchdog import NAME, start_watchdog
from spark_clusters import SLICE, job_of, processes_of, site_of, until

from airflow_wall import state
from airflow_wall.clusters.base import ClusterState, Deleted
from airflow_wall.clusters.kinds.spark import SparkCluster
from airflow_wall.storage.delta import DeltaStore

pytestmark = pytest.mark.timeout(1200)  # a machine that is busy starts a JVM in a minute


def test_it_is_used_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    document = start_watchdog(tmp_path, Path(pyspark.__path__[0]))
    cluster = SparkCluster(NAME, {"type": "spark", "max_ttl": "6h"}, site_of(tmp_path))
    try:
        until(lambda: cluster.state() is ClusterState.RUNNING, 300)
        first = state.read(document) or {}
        assert cluster.ensure()["master"] == first["master"]
        rows = pa.table({"id": [1, 2]})
        DeltaStore(tmp_path / "lake").replace_slice("bronze/x", rows, slice_id=SLICE.id, number=SLICE.number)
        job = job_of(tmp_path, target="silver/x", inputs={"x": "bronze/x"}, sql="SELECT id FROM x")
        assert cluster.run(job, {}, print)["rows"] == 2
        until(lambda: (state.read(document) or {})["seen"] > first["seen"], 60)  # it beats every 10 s
        assert sorted(processes_of(NAME).values()) == ["master", "watchdog", "worker"]
    finally:
        deleted = cluster.delete()
    assert deleted == Deleted(ended=(NAME,))
    until(lambda: not processes_of(NAME), 20)  # it lets go of its lock just before it ends
