"""A run that takes too long still runs its teardowns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_wall.dag.build import build_dag
from airflow_wall.loader.load import load_specs
from airflow_wall.operators.run_timeout import RunTimeout
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

CLUSTER = """
dag_id: scores
start_date: 2024-01-01
dagrun_timeout: 2h
tasks:
  - {id: start, uses: start_cluster, with: {cluster: {type: local}}}
  - id: many
    uses: airflow.providers.standard.operators.bash.BashOperator
    needs: start
    expand: {bash_command: [echo a, echo b]}
  - {id: stop, uses: stop_cluster, needs: many}
"""
PLAIN = "dag_id: plain\nstart_date: 2024-01-01\ndagrun_timeout: 2h\ntasks:\n  - {id: one}\n"


def built(folder: Path, text: str) -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    (spec,) = load_specs(path, Settings())
    return build_dag(plan(spec, Settings()))


def test_a_pipeline_with_a_clean_up_is_not_ended_by_airflow_but_by_its_own_tasks(tmp_path: Path) -> None:
    dag = built(tmp_path, CLUSTER)
    assert dag.dagrun_timeout is None
    hooks: dict[str, Any] = {
        "start": dag.task_dict["start"]._pre_execute_hook,
        "many": dag.task_dict["many"].partial_kwargs["pre_execute"],
        "stop": dag.task_dict["stop"]._pre_execute_hook,
    }
    assert [getattr(hooks[task_id], "limit", None) for task_id in ("start", "many", "stop")] == [
        timedelta(hours=2)
    ] * 2 + [None]


def test_a_hook_of_the_task_itself_is_kept(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("def tell(context):\n    context['told'] = True\n")
    text = CLUSTER.replace("cluster: {type: local}}}", "cluster: {type: local}}, pre_execute: hooks:tell}")
    context: Any = {"task": EmptyOperator(task_id="work"), "dag_run": SimpleNamespace(start_date=datetime.now(UTC))}
    built(tmp_path, text).task_dict["start"]._pre_execute_hook(context)
    assert context["told"]
    assert context["task"].execution_timeout is not None


def test_one_without_is_ended_by_airflow(tmp_path: Path) -> None:
    dag = built(tmp_path, PLAIN)
    assert dag.dagrun_timeout == timedelta(hours=2)
    assert dag.task_dict["one"]._pre_execute_hook is None


def bounded(begun: timedelta, own: timedelta | None) -> timedelta | None:
    """Return the execution timeout of a task whose run started so long ago."""
    task = EmptyOperator(task_id="work", execution_timeout=own)
    run = SimpleNamespace(start_date=datetime.now(UTC) - begun, run_after=None)
    context: Any = {"task": task, "dag_run": run}
    RunTimeout(timedelta(hours=2))(context)
    return task.execution_timeout


def test_a_task_may_take_what_is_left_of_the_time() -> None:
    left = bounded(timedelta(hours=1, minutes=50), None)
    assert left is not None
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


def test_a_task_with_a_shorter_bound_of_its_own_keeps_it() -> None:
    assert bounded(timedelta(minutes=10), timedelta(minutes=5)) == timedelta(minutes=5)


def test_no_task_begins_when_the_time_is_over() -> None:
    with pytest.raises(AirflowFailException, match="longer than `dagrun_timeout`, 2:00:00, so this task does not run"):
        bounded(timedelta(hours=3), None)
