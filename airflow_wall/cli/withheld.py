"""The slices that are withheld, and the releases that clients still see, after a run that published nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_wall.cli.listing import connected
from airflow_wall.cli.stale import in_child
from airflow_wall.lake.lake import Lake
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.planner.table_reads import reads_of
from airflow_wall.publish.ledger import ReleaseLedger
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.verdicts import Checkers, Verdicts


def failed_checks(plan: Plan, states: Mapping[str, str]) -> list[TaskPlan]:
    """Return the tasks whose failed checks withhold rows."""
    return [
        task
        for task in plan.tasks
        if states.get(task.task_id) == "failed" and any(read.is_gate for read in reads_of(task))
    ]


def withheld_slices(plan: Plan, failed: Sequence[TaskPlan]) -> list[dict[str, str]]:
    """
    Return the withheld slices of the tables of failed checks, each with `table`, `slice` and `reason`.

    :param failed: Tasks whose checks failed.
    """
    tables = {read.table for task in failed for read in reads_of(task) if read.is_gate}
    if not tables:
        return []
    checkers = {
        table: [task.task_id for task in plan.tasks for read in reads_of(task) if read.is_gate and read.table == table]
        for table in tables
    }
    return in_child(_withheld, plan.storage, plan.dag_id, checkers)


def visible_releases(plan: Plan) -> dict[str, dict[str, Any] | None]:
    """Return release name -> the summary of the release that clients see, or None before the first commit."""
    names = [task.arguments.get("release") for task in plan.tasks if task.uses in ("start_sender", "publish")]
    lake = connected(plan.storage)
    return {name: ReleaseLedger(lake, name, patience=0).current() for name in names if isinstance(name, str)}


def _withheld(storage: Lake, pipeline: str, checkers: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    lake = connected(storage)
    store = open_tables(lake)
    verdicts = Verdicts(lake, store)
    return [
        {"table": table, "slice": withheld.slice, "reason": withheld.reason}
        for table, tasks in sorted(checkers.items())
        for withheld in verdicts.judge(pipeline, table, Checkers(tasks), accept_earlier=True).withheld
    ]
