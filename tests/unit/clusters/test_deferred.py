"""While a cluster starts or a job runs only the triggerer waits, with the same result as a waiting worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.exceptions import TaskDeferralTimeout, TaskDeferred
from cluster_runs import CONFIGS, Run, executed, resumed
from fake_clouds import CLOUDS, FakeCloud, VirtualClock

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.kinds import dataproc, emr
from airflow_wall.operators.links import ConsoleLink
from airflow_wall.operators.transform import TransformOperator
from airflow_wall.triggers.cluster import ClusterTrigger

KINDS = ["emr", "dataproc"]


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return deferring(request.param, tmp_path, monkeypatch)


def deferring(kind: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    cloud: FakeCloud = CLOUDS[kind](VirtualClock())
    return Run(kind, cloud, lake, monkeypatch, deferrable=True)


def deferred(run: Run, task_id: str) -> Any:
    """The trigger of a task's first wait."""
    with pytest.raises(TaskDeferred) as raised:
        executed(run.dag.task_dict[task_id], run.context(task_id))
    trigger = raised.value.trigger
    vars(trigger)["_cluster"] = open_cluster(trigger.name, trigger.config, run.site)
    return raised.value


def test_a_run_waits_in_the_triggerer_and_nowhere_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (emr, dataproc):
        monkeypatch.setattr(module, "POLL", float("nan"))  # nobody may sleep that long
    run.go()
    assert run.run_state == "success", run.errors
    assert run.waits >= 2  # for the cluster, and for the job
    assert not run.cloud.alive
    assert run.results["stop"]["node_hours"] > 0


def test_the_page_of_the_cluster_is_there_while_it_starts(run: Run) -> None:
    run.task("start", None)
    links = run.xcoms["start", ConsoleLink().xcom_key]
    assert links.startswith("https://")
    assert "/clusterDetails/j-0001" in links or f"/clusters/{run.results['start']['name']}/" in links


def test_a_step_without_a_cluster_has_no_links() -> None:
    assert not EmptyOperator(task_id="other").operator_extra_links
    task = TransformOperator(task_id="t", target="a", inputs={}, sql="select 1")
    with pytest.raises(KeyError):  # it gets as far as the run it belongs to
        executed(task, {})
    assert not task.operator_extra_links


def test_cluster_that_fails_to_start_is_reported_and_not_created_again(run: Run) -> None:
    original = run.cloud.create

    def create(name: str, request: dict[str, Any]) -> Any:
        made = original(name, request)
        made.fault = "CPUS quota exceeded" if isinstance(run.cloud, CLOUDS["dataproc"]) else "no such subnet"
        if isinstance(run.cloud, CLOUDS["emr"]):
            made.ended = run.cloud.clock.now() + timedelta(seconds=20)
        return made

    run.cloud.create = create  # type: ignore[method-assign]
    run.task("start", None)
    assert run.states["start"] == "failed"
    assert "quota exceeded" in run.errors[0] or "no such subnet" in run.errors[0]
    assert len(run.cloud.clusters) <= 4  # one for each try, and no more


def test_a_job_that_is_given_up_is_cancelled(run: Run) -> None:
    run.task("start", None)
    first = deferred(run, "work")
    (job,) = run.cloud.clusters[0].jobs
    with pytest.raises(TaskDeferralTimeout):
        resumed(run.dag.task_dict["work"], "__fail__", {"error": "Trigger timeout"}, run.context("work"))
    assert job.cancelled
    assert first.trigger.awaited["job_id"] == job.name


def test_a_job_whose_task_somebody_ends_is_cancelled_by_the_triggerer(run: Run) -> None:
    run.task("start", None)
    trigger = deferred(run, "work").trigger
    asyncio.run(trigger.on_kill())
    assert run.cloud.clusters[0].jobs[0].cancelled


def test_a_cluster_whose_start_somebody_ends_is_left_to_the_stop(run: Run) -> None:
    trigger = deferred(run, "start").trigger
    asyncio.run(trigger.on_kill())
    assert len(run.cloud.alive) == 1
    run.states |= {"start": "failed", "work": "upstream_failed"}
    run.task("stop", None)
    assert not run.cloud.alive


def test_a_bound_that_is_exceeded_while_a_job_is_waited_for_ends_the_job(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_clouds.WORKS", timedelta(hours=8))
    config = {**run.dag.task_dict["start"].cluster, "max_node_hours": 2}
    monkeypatch.setattr(run.dag.task_dict["start"], "cluster", config)
    run.go()
    assert run.states == {"start": "success", "work": "failed", "stop": "failed"}
    assert "more than `cluster.max_node_hours: 2`" in run.errors[0]
    assert run.cloud.clusters[0].jobs[0].cancelled
    assert not run.cloud.alive


def test_the_time_a_task_may_take_bounds_its_waits(run: Run) -> None:
    run.dag.task_dict["start"].execution_timeout = timedelta(minutes=10)
    timeout = deferred(run, "start").timeout
    assert timedelta(minutes=9) < timeout <= timedelta(minutes=10)


def test_what_the_triggerer_is_given_holds_no_secret_and_survives_json(run: Run) -> None:
    path, arguments = deferred(run, "start").trigger.serialize()
    assert path == "airflow_wall.triggers.cluster.ClusterTrigger"
    assert set(arguments) == {"name", "config", "owner", "state", "awaited", "poll_interval"}
    assert ClusterTrigger(**arguments).serialize() == (path, arguments)
    assert arguments["config"] == CONFIGS[arguments["config"]["type"]]
