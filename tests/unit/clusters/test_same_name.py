"""A run uses one of several clusters with the same name, and its stop ends all of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cluster_runs import CONFIGS, Run
from fake_clouds import FakeDataproc, FakeEmr, VirtualClock, kill

from airflow_wall.clusters.base import cluster_name
from airflow_wall.clusters.emr_request import request_of


@pytest.fixture
def emr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run("emr", FakeEmr(VirtualClock()), tmp_path, monkeypatch)


def another(run: Run) -> None:
    """Create another cluster with the run's name, as a try does whose answer is lost."""
    name = cluster_name(run.site.owner, "start")
    run.cloud("run_job_flow", **request_of(name, CONFIGS["emr"], run.site.owner))


def test_a_stop_ends_every_cluster_of_the_name(emr: Run) -> None:
    emr.task("start", None)
    another(emr)
    emr.task("work", "start")
    assert len(emr.cloud.alive) == 2
    emr.task("stop", None)
    assert emr.states["stop"] == "success", emr.errors
    assert not emr.cloud.alive


def test_jobs_run_on_the_cluster_that_was_decided_on_though_another_is_older(emr: Run) -> None:
    emr.task("start", None)
    (decided,) = emr.cloud.alive
    another(emr)
    emr.cloud.clusters[-1].created = decided.created - timedelta(minutes=5)
    emr.task("work", "start")
    assert emr.cloud.used == {decided.id}


def test_a_start_that_was_killed_after_the_deed_is_followed_by_one_that_adopts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("dataproc", FakeDataproc(VirtualClock()), tmp_path, monkeypatch)
    run.cloud.faults.at[2] = ("after", kill)  # a look, then the creation
    run.task("start", None)
    assert run.tries["start"] == 2
    assert run.states["start"] == "success", run.errors
    assert len(run.cloud.clusters) == 1
