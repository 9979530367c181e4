"""Show which slices of a table passed its checks, and check the others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_wall.checks.load import load_checks
from airflow_wall.cli.listing import connected
from airflow_wall.cli.output import out
from airflow_wall.diagnostics.printable import counted
from airflow_wall.errors import CheckFailed, WallError
from airflow_wall.job import Env, Run, Slice, date_of_slice
from airflow_wall.jobs.check_integrity import check_integrity, checks_digest
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import ALL
from airflow_wall.storage.verdicts import Checkers, Verdicts


@dataclass(frozen=True)
class Checker:
    """A task that checks a table."""

    plan: Plan
    task: TaskPlan

    @property
    def checks(self) -> Any:
        """The text or the list of its checks."""
        return self.task.arguments["checks"]


def checkers_of(folder: Path, settings: Settings, table: str) -> list[Checker]:
    """
    Return the tasks of the pipelines in a folder that check a table.

    :raises WallError: there are none.
    """
    checkers = [
        Checker(plan, task)
        for file in yaml_files(folder)
        for plan in plan_all(load_specs(file, settings), settings)
        for task in plan.tasks
        if _checks(task, table)
    ]
    if not checkers:
        raise WallError(
            f"no task in `{folder}` checks the table `{table}`",
            hint="correct the name of the table, or name the folder of its pipeline with `--in`",
        )
    return checkers


def _checks(task: TaskPlan, table: str) -> bool:
    """Return True if a task decides by checks which rows of a table are published."""
    is_gate = task.uses == "check_integrity" and task.arguments.get("gate") is not False
    return is_gate and task.arguments.get("table") == table


def check_slices(checker: Checker, table: str) -> None:
    """Check the slices of which the present checks have no verdict."""
    plan, task = checker.plan, checker.task
    lake = connected(plan.storage)
    store = open_tables(lake)
    verdicts = Verdicts(lake, store)
    known = verdicts.of_task(plan.dag_id, task.task_id, table)
    digest = checks_digest(checker.checks)
    for slice_id, content in sorted(store.contents(table).by_slice().items()):
        verdict = known.get(slice_id)
        if verdict is not None and (verdict.content, verdict.checks) == (content, digest):
            continue
        with contextlib.suppress(CheckFailed):  # the verdict is shown at the end
            check_integrity(
                Env(_run_of(plan, task, slice_id), _no_connection),
                table=table,
                checks=checker.checks,
                checks_file=task.arguments.get("checks_file"),
                others=_checkers_of_others(checker),
            )


def _checkers_of_others(checker: Checker) -> dict[str, dict[str, list[str]]]:
    """Return the tasks that check the other tables which checks read."""
    checks = load_checks(checker.checks, path=checker.task.arguments.get("checks_file"))
    return {
        name: {
            "checked_by": [task.task_id for task in checker.plan.tasks if _checks(task, name)],
            "possibly_checked_by": [],
        }
        for check in checks
        for name in check.tables()
    }


def _run_of(plan: Plan, task: TaskPlan, slice_id: str) -> Run:
    date = date_of_slice(slice_id) or datetime.now(UTC)
    part = Slice("" if slice_id == ALL else slice_id, date.isoformat())
    run_id = f"check__{datetime.now(UTC):%Y%m%dT%H%M%S}"
    return Run(plan.dag_id, run_id, task.task_id, 1, part, connected(plan.storage), plan.project, plan.path.parent)


def slices_of(table: str, checkers: Sequence[Checker]) -> list[dict[str, Any]]:
    """Return the slices of a table with the verdict of one pipeline: passed, or the reason why it is withheld."""
    plan = checkers[0].plan
    lake = connected(plan.storage)
    verdicts = Verdicts(lake, open_tables(lake))
    judgement = verdicts.judge(plan.dag_id, table, Checkers([checker.task.task_id for checker in checkers]))
    reasons = {withheld.slice: withheld.reason for withheld in judgement.withheld}
    return [
        {"dag_id": plan.dag_id, "slice": name, "passed": name not in reasons, "reason": reasons.get(name)}
        for name in sorted(judgement.contents)
    ]


def show_slices(table: str, pipelines: Sequence[str], slices: Sequence[Mapping[str, Any]]) -> None:
    """Print the slices of a table, by pipeline."""
    for dag_id in pipelines:
        rows = [row for row in slices if row["dag_id"] == dag_id]
        for row in rows:
            out().print(f"{row['slice']}  {'passed' if row['passed'] else 'withheld: ' + row['reason']}")
        passed = sum(row["passed"] for row in rows)
        withheld = len(rows) - passed
        note = f"{withheld} {'is' if withheld == 1 else 'are'} withheld"
        out().print(f"{dag_id}: {counted(passed, 'slice')} of {table} passed, {note}")


def _no_connection(conn_id: str) -> Any:
    raise WallError(f"a check has no connection, got `{conn_id}`")
