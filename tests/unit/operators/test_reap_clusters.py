"""The reaper finds clusters that are documents in a lake which is not its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import ClusterSite, Owner
from airflow_wall.lake.lake import Lake
from airflow_wall.operators.reap_clusters import ReapClustersOperator


def reaped(place: dict[str, Any], folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr("airflow_wall.operators.base.die_with_parent", lambda: None)
    with DAG("reaper", schedule=None) as dag:
        task = ReapClustersOperator(task_id="reap", clusters=[place], project=str(folder))
    ti = SimpleNamespace(
        dag_id="reaper", run_id="r", task_id="reap", map_index=-1, try_number=1,
        get_dr_count=lambda dag_id, run_ids: 1, get_dagrun_state=lambda dag_id, run_id: "failed",
    )  # fmt: skip
    run = SimpleNamespace(logical_date=datetime(2026, 1, 1, tzinfo=UTC), run_id="r")
    execute: Any = type(task).execute
    cluster_list = execute.__wrapped__(task, {"ti": ti, "dag": dag, "dag_run": run})
    return [cluster["name"] for cluster in cluster_list["reaped"]]


def test_it_looks_into_the_lake_that_a_place_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = ClusterSite(Lake(tmp_path / "other"), Owner("", "scores", "gone"), lambda kind, config: None)
    open_cluster("wall-scores-1", {"type": "local"}, site).ensure()
    assert reaped({"type": "local"}, tmp_path, monkeypatch) == []
    assert reaped({"type": "local", "storage": "other"}, tmp_path, monkeypatch) == ["wall-scores-1"]
    assert open_cluster("wall-scores-1", {"type": "local"}, site).state() is None
