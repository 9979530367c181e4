"""Run one task of a pipeline in this process, on the terminal: for `print`, `breakpoint` and errors of its own code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.api.datamodels._generated import TaskInstance as SdkTaskInstance
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.supervisor import run_task_in_process
from airflow.utils.state import DagRunState, TaskInstanceState
from rich.console import Console
from sqlalchemy import select

from airflow_wall.cli.metadata import refuse_neighbour
from airflow_wall.cli.output import USER_FAULT
from airflow_wall.cli.prepare import Prepared
from airflow_wall.cli.runner import Runner
from airflow_wall.cli.summary import results_of_run, show_summary
from airflow_wall.dag.build import build_dag
from airflow_wall.errors import WallError
from airflow_wall.operators.compute import ComputeOperator


def run_one_task(prepared: Prepared, task_id: str, date: datetime | None, console: Console) -> int:
    """
    Run one task of the run of a date, by default of the newest run, and return the exit code.

    Tasks before it are not run: it reads their tables. A step on a cluster runs in this process instead.

    :raises WallError: there is no run yet and no date, or the task is mapped.
    """
    session, plan = prepared.session, prepared.plan
    refuse_neighbour(session, prepared.home.path, plan.dag_id)
    run = _run_of(prepared, date)
    task = build_dag(plan).get_task(task_id)
    row = next((row for row in run.get_task_instances(session=session) if row.task_id == task_id), None)
    if row is None or row.map_index >= 0 or getattr(task, "is_mapped", False):
        raise WallError(f"`--task` must name one task, got the mapped task `{task_id}`", hint="run the whole pipeline")
    if isinstance(task, ComputeOperator):
        _bring_here(task, console)
    before = run.state
    row.try_number += 1
    row.state, run.state = TaskInstanceState.QUEUED, DagRunState.RUNNING
    session.commit()
    state, error = TaskInstanceState.FAILED, None
    try:
        with _terminal(console):
            result = run_task_in_process(ti=_described(row), task=task)
        state, error = TaskInstanceState(result.state), result.error
    finally:
        session.rollback()
        session.expire_all()
        is_success = state == TaskInstanceState.SUCCESS
        row.state = (
            state if state in (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED) else TaskInstanceState.FAILED
        )
        run.state = DagRunState.SUCCESS if is_success and before == DagRunState.SUCCESS else DagRunState.FAILED
        session.commit()
    console.print(f"\ntask {task_id} of run {run.run_id}: {state.value}\n")
    if is_success:
        show_summary(console, plan, results_of_run(plan, run.run_id, task_id), "")
    elif isinstance(error, AirflowFailException | WallError):
        console.print(f"error: {error}")
    elif error is not None:
        console.print("".join(traceback.format_exception(error)))
    return 0 if state in (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED) else USER_FAULT


def _run_of(prepared: Prepared, date: datetime | None) -> DagRun:
    runs = (
        select(DagRun).where(DagRun.dag_id == prepared.plan.dag_id).order_by(DagRun.run_after.desc(), DagRun.id.desc())
    )
    if date is not None:
        runs = runs.where(DagRun.logical_date == date)
    run: DagRun | None = prepared.session.scalar(runs.limit(1))
    if run is not None:
        return run
    if date is None:
        raise WallError("there is no run whose task could run again", hint="name a date: `--date 2013-07-01`")
    return Runner(prepared, parallel=1, retry_wait=timedelta(0)).create_run(date)


def _bring_here(task: ComputeOperator, console: Console) -> None:
    """Let a step run in this process, and print where it would run otherwise."""
    if task.cluster is not None:
        console.print(f"`{task.task_id}` runs in this process, not on the cluster of `{task.cluster}`")
        task.cluster = None
    if task.environment():
        console.print(f"`{task.task_id}` has an environment of its own: `breakpoint()` has no terminal there")


def _described(row: TaskInstance) -> SdkTaskInstance:
    return SdkTaskInstance(
        id=UUID(str(row.id)),
        task_id=row.task_id,
        dag_id=row.dag_id,
        run_id=row.run_id,
        try_number=row.try_number,
        map_index=row.map_index,
        dag_version_id=UUID(str(row.dag_version_id)),
    )


@contextlib.contextmanager
def _terminal(console: Console) -> Iterator[None]:
    """Give the terminal back to this process, whose output goes to a file otherwise."""
    terminal: Any = console.file
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    for descriptor in kept:
        os.dup2(terminal.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, former in kept.items():
            os.dup2(former, descriptor)
            os.close(former)
