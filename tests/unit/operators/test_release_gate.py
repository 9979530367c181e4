"""A failed stop does not prevent a release, but it fails the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_wall.dag.build import build_dag
from airflow_wall.loader.load import load_specs
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.stop_cluster import StopClusterOperator
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

PIPELINE = """
dag_id: scores
start_date: 2024-01-01
default_args: {retries: 1}
tasks:
  - {id: start, uses: start_cluster, with: {cluster: {type: emr, region: r, image: emr-7.9.0}}}
  - {id: work, uses: ingest, needs: start, with: {cluster: start, source: landing, target: gold/scores}}
  - {id: stop, uses: stop_cluster, needs: work}
  - {id: check, uses: check_integrity, needs: work, with: {table: gold/scores, checks: [{row_count: {min: 1}}]}}
"""
SENDER = """
  - {id: open, uses: start_sender, needs: [stop, check], with: {release: r}}
  - {id: stage, uses: persist, needs: open, with: {release: open, table: gold/scores, to: "files://x"}}
  - {id: close, uses: stop_sender, needs: stage}
"""
PUBLISH = """
  - {id: open, uses: publish, needs: [stop, check], with: {release: r, table: gold/scores, to: [{to: "files://x"}]}}
"""
GOOD = {"start": "success", "work": "success", "stop": "success", "check": "success"}


def built(folder: Path, more: str, head: str = "") -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(head + PIPELINE + more)
    (spec,) = load_specs(path, Settings())
    return build_dag(plan(spec, Settings()))


def execute(dag: DAG, task_id: str, states: dict[str, str], patch: pytest.MonkeyPatch) -> list[str]:
    """Execute a task without running its jobs, and return their kinds."""
    done: list[str] = []

    def do(self: Any, context: Any, kind: str, **arguments: Any) -> dict[str, Any]:
        done.append(kind)
        return {"fence": 1}

    patch.setattr(StepOperator, "do", do)
    patch.setattr("airflow_wall.operators.base.die_with_parent", lambda: None)
    ti = SimpleNamespace(
        dag_id="scores",
        run_id="r",
        task_id=task_id,
        xcom_pull=lambda task_ids: {"fence": 1},
        get_task_states=lambda dag_id, task_ids, run_ids: {"r": {item: states[item] for item in task_ids}},
    )
    task = dag.task_dict[task_id]
    execute: Any = type(task).execute
    try:
        getattr(execute, "__wrapped__", execute)(task, {"ti": ti, "dag": dag})
    except (AirflowFailException, AirflowSkipException) as error:
        done.append(f"{type(error).__name__}: {error}")
    return done


@pytest.mark.parametrize("more", [SENDER, PUBLISH])
def test_a_release_right_behind_a_stop_waits_for_its_end_whatever_it_is(tmp_path: Path, more: str) -> None:
    assert built(tmp_path, more).task_dict["open"].trigger_rule == "all_done"


def test_a_local_cluster_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE.replace("type: emr, region: r, image: emr-7.9.0", "type: local") + SENDER)
    (spec,) = load_specs(path, Settings())
    assert build_dag(plan(spec, Settings())).task_dict["open"].trigger_rule == "all_success"


@pytest.mark.parametrize("key", ["fail_fast: true", None])
def test_who_says_otherwise_is_left_alone(tmp_path: Path, key: str | None) -> None:
    more = SENDER if key else SENDER.replace("uses: start_sender", "uses: start_sender, trigger_rule: all_success")
    assert built(tmp_path, more, f"{key}\n" if key else "").task_dict["open"].trigger_rule == "all_success"


def test_scores_are_released_and_the_run_is_red_when_only_the_stop_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = built(tmp_path, SENDER)
    states = {**GOOD, "stop": "failed"}
    assert execute(dag, "open", states, monkeypatch) == ["start_sender"]
    done, error = execute(dag, "close", states, monkeypatch)
    assert done == "stop_sender"
    assert error == (
        "AirflowFailException: release `r` is committed and clients see it; but `stop` did not stop the cluster\n\n"
        "hint: read the log of that task; the reaper ends the cluster after the run, and its cloud ends it after `max_ttl`"
    )


def test_publish_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *done, error = execute(built(tmp_path, PUBLISH), "open", {**GOOD, "stop": "failed"}, monkeypatch)
    assert done == ["start_sender", "stage", "stop_sender"]
    assert "`stop` did not stop the cluster" in error


def test_success_prints_no_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = built(tmp_path, SENDER)
    assert execute(dag, "open", GOOD, monkeypatch) == ["start_sender"]
    assert execute(dag, "close", GOOD, monkeypatch) == ["stop_sender"]


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ({"check": "failed"}, "AirflowFailException: nothing is released, because of failed tasks: `check`"),
        ({"check": "upstream_failed", "work": "failed"}, "AirflowFailException: nothing is released, because of failed tasks: `check`, `work`"),
        ({"work": "failed"}, "AirflowFailException: nothing is released, because of failed tasks: `work`"),
        ({"stop": "failed", "work": "failed"}, "AirflowFailException: nothing is released, because of failed tasks: `work`"),
        ({"stop": "skipped", "check": "skipped"}, "AirflowSkipException: nothing is released, because of skipped tasks: `check`, `stop`"),
    ],
)  # fmt: skip
def test_anything_else_before_it_keeps_the_release_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: dict[str, str], error: str
) -> None:
    assert execute(built(tmp_path, SENDER), "open", {**GOOD, **states}, monkeypatch) == [error]


def test_a_stop_is_a_teardown_that_always_runs_and_is_tried_often(tmp_path: Path) -> None:
    dag = built(tmp_path, SENDER)
    stop = dag.task_dict["stop"]
    assert isinstance(stop, StopClusterOperator)
    assert (stop.is_teardown, stop.trigger_rule, stop.retries) == (True, "all_done", 12)
    assert dag.task_dict["work"].retries == 1
    own = built(tmp_path, "", "").task_dict["stop"]
    assert own.retries == 12
    text = PIPELINE.replace("uses: stop_cluster", "retries: 3, uses: stop_cluster")
    (tmp_path / "pipeline.yaml").write_text(text)
    (spec,) = load_specs(tmp_path / "pipeline.yaml", Settings())
    assert build_dag(plan(spec, Settings())).task_dict["stop"].retries == 3


def test_so_it_is_in_python() -> None:
    with DAG("d", schedule=None, default_args={"retries": 1}):
        stop = StopClusterOperator(task_id="stop", cluster="start")
    assert stop.retries == 12
