"""A stop, which always runs, does not hide the failure of other tasks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_wall.dag.build import build_dag
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

HEAD = """
dag_id: scores
start_date: 2024-01-01
tasks:
  - {id: start, uses: start_cluster, with: {cluster: {type: local}}}
  - {id: work, uses: ingest, needs: start, with: {cluster: start, source: landing, target: gold/scores}}
  - {id: other, needs: start, uses: airflow.providers.standard.operators.bash.BashOperator, with: {bash_command: exit 1}}
  - {id: stop, uses: stop_cluster, needs: [work, other]}
"""
AFTER = "  - {id: after, needs: stop}\n"
AFTER_BOTH = "  - {id: after, needs: [stop, other]}\n"
GOOD = {"start": "success", "work": "success", "other": "success"}


def stopped(folder: Path, more: str, states: dict[str, str], patch: pytest.MonkeyPatch) -> Any:
    path = folder / "pipeline.yaml"
    path.write_text(HEAD + more)
    (spec,) = load_specs(path, Settings())
    dag = build_dag(plan(spec, Settings()))
    task = dag.task_dict["stop"]
    patch.setattr("airflow_wall.operators.base.die_with_parent", lambda: None)
    ti = SimpleNamespace(
        dag_id="scores", run_id="r", task_id="stop", map_index=-1, try_number=1,
        get_task_states=lambda dag_id, task_ids, run_ids: {"r": {each: states[each] for each in task_ids}},
    )  # fmt: skip
    run = SimpleNamespace(logical_date=spec.head.start_date, run_id="r")
    execute: Any = type(task).execute
    return execute.__wrapped__(task, {"ti": ti, "dag": dag, "dag_run": run})


def test_a_good_run_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped(tmp_path, "", GOOD, monkeypatch)["stopped"] is False


@pytest.mark.parametrize("which", ["work", "other", "start"])
def test_as_the_last_task_it_fails_for_whatever_failed(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match=f"this run has failed because of `{which}`"):
        stopped(tmp_path, "", {**GOOD, which: "failed"}, monkeypatch)


def test_what_waits_only_for_the_stop_does_not_go_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="because of `other`"):
        stopped(tmp_path, AFTER, {**GOOD, "other": "failed"}, monkeypatch)


def test_what_waits_for_the_failed_task_itself_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped(tmp_path, AFTER_BOTH, {**GOOD, "other": "failed"}, monkeypatch)["stopped"] is False
    with pytest.raises(AirflowFailException, match="because of `work`"):
        stopped(tmp_path, AFTER_BOTH, {**GOOD, "work": "failed"}, monkeypatch)
