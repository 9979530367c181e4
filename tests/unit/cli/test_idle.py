"""A run that had nothing to do is not called a success."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.cli.idle import idle_reason
from airflow_wall.cli.outcome import RunOutcome
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

PIPELINE = """\
dag_id: d
schedule: "@daily"
start_date: 2024-01-05
tasks:
  - {id: new, uses: check_new_data, with: {source: landing}}
  - {id: load, uses: ingest, needs: new, with: {source: landing, target: bronze/t}}
  - {id: clean, uses: transform, needs: load, with: {inputs: {raw: bronze/t}, target: silver/t, sql: "from raw"}}
  - {id: say, uses: airflow.providers.standard.operators.bash.BashOperator, needs: clean, with: {bash_command: "true"}}
"""
EMPTY: dict[str, Any] = {"files": 0, "rows": 0, "changed": False}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "d.yaml"
    file.write_text(PIPELINE)
    (plan,) = plan_all(load_specs(file, Settings()), Settings())
    return plan


def reason(plan: Plan, states: str, results: dict[str, Any], *, success: bool = True) -> str | None:
    names = [task.task_id for task in plan.tasks]
    words = {"s": "success", "k": "skipped", "f": "failed"}
    outcome = RunOutcome("r", success, False, [], {n: words[s] for n, s in zip(names, states, strict=False)}, results)
    return idle_reason(plan, outcome, datetime(2024, 1, 1, tzinfo=UTC))


def test_all_tasks_at_the_end_were_skipped(plan: Plan) -> None:
    assert reason(plan, "skkk", {}) == "all tasks at its end were skipped"


def test_the_date_is_outside_of_the_schedule(plan: Plan) -> None:
    expected = "2024-01-01T00:00+00:00 is outside of `start_date` 2024-01-05T00:00"
    assert reason(plan, "", {}) == expected


def test_a_task_that_is_no_step_of_ours_counts_as_work(plan: Plan) -> None:
    assert reason(plan, "ssss", {"load": EMPTY, "clean": EMPTY}) is None


@pytest.mark.parametrize(
    ("load", "clean", "expected"),
    [
        (EMPTY, EMPTY, "no new data"),
        ({**EMPTY, "files": 1, "rows": 3}, EMPTY, None),
        ({**EMPTY, "corrected": {"s1": ["a"]}}, EMPTY, None),
        (EMPTY, {"rows": 5, "changed": True}, None),
        (EMPTY, {"rows": 5, "changed": False}, "no new data"),
    ],
)
def test_steps_that_changed_nothing(
    plan: Plan, load: dict[str, Any], clean: dict[str, Any], expected: str | None
) -> None:
    shorter = type(plan)(**{**vars(plan), "tasks": plan.tasks[:3]})
    assert reason(shorter, "sss", {"load": load, "clean": clean}) == expected


def test_a_failed_run_is_not_idle(plan: Plan) -> None:
    assert reason(plan, "fkkk", {}, success=False) is None
