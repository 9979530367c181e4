"""Tell a run that did its work from one that had nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_wall.cli.dates import shown
from airflow_wall.cli.outcome import RunOutcome
from airflow_wall.planner.plan import Plan, TaskPlan

_PREPARE = frozenset(("check_new_data", "get_credentials", "start_cluster", "stop_cluster", "check_integrity"))
"""Steps that are no work by themselves."""


def idle_reason(plan: Plan, outcome: RunOutcome, date: datetime | None) -> str | None:
    """
    Return why a run that succeeded did nothing, or None if it did something or failed.

    :param date: Its logical date, if it has one.
    """
    if not outcome.success:
        return None
    if not outcome.states:
        return _outside(plan, date)
    states = {task.task_id: _states_of(task, outcome.states) for task in plan.tasks}
    needed = {name for task in plan.tasks for name in task.upstream}
    ends = [task for task in plan.tasks if task.task_id not in needed and not task.cleans_up]
    if ends and all(states[task.task_id] <= {"skipped", "removed"} for task in ends):
        return "all tasks at its end were skipped"
    done = [task for task in plan.tasks if "success" in states[task.task_id]]
    if any(task.uses == "ingest" for task in done) and not any(_did_work(task, outcome.results) for task in done):
        return "no new data"
    return None


def _outside(plan: Plan, date: datetime | None) -> str:
    name = "the date" if date is None else shown(date)
    dates = {key: plan.arguments.get(key) for key in ("start_date", "end_date")}
    limits = [f"`{key}` {shown(value)}" for key, value in dates.items() if isinstance(value, datetime)]
    return f"{name} is outside of {' and '.join(limits)}" if limits else "none of its tasks was due"


def _states_of(task: TaskPlan, states: Mapping[str, str]) -> set[str]:
    """Return the states of a task, or of the instances of a mapped one."""
    return {state for name, state in states.items() if name.partition("[")[0] == task.task_id}


def _did_work(task: TaskPlan, results: Mapping[str, Any]) -> bool:
    if task.uses in _PREPARE:
        return False
    own = [result for name, result in results.items() if name.partition("[")[0] == task.task_id]
    if task.uses == "ingest":
        return any(result["files"] or result["rows"] or result.get("corrected") for result in own)
    if task.uses in ("transform", "predict"):
        return any(result["rows"] and result.get("changed", True) for result in own)
    return True
