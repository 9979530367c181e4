"""
Run one DAG on this machine, without scheduler, API server or containers.

A DagRun and its task instances are created in the metadata database. Airflow's own rules decide which tasks may run.
Each task runs in its own process under Airflow's supervisor, which calls an Execution API in its own process and writes
the task's log where the UI finds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from airflow.executors.workloads import ExecuteTask
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.timetables.base import DataInterval
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_wall.cli.children import Children
from airflow_wall.cli.metadata import engine, refuse_neighbour
from airflow_wall.cli.outcome import SILENT, Change, RunOutcome, failure_reason
from airflow_wall.cli.output import short
from airflow_wall.cli.prepare import Prepared
from airflow_wall.cli.recipes import Recipes
from airflow_wall.cli.stale import StaleSlice, tasks_to_repeat
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import WallError
from airflow_wall.operators.base import slice_of

POLL = 0.03
"""Seconds between two polls of the tasks' states."""

RECHECK = 1.0
"""Seconds after which Airflow's rules are applied even without a change: retries and timeouts depend on time."""

_UNDER_WAY = frozenset((TaskInstanceState.QUEUED, TaskInstanceState.RUNNING))
_ENDED = frozenset((DagRunState.SUCCESS, DagRunState.FAILED))


class Runner:
    """
    Runs one logical date of a DAG.

    :param prepared: The pipeline, ready to run.
    :param parallel: Maximum number of tasks that run at once.
    :param retry_wait: Maximum wait before a retry, even if the pipeline sets a longer one.
    """

    def __init__(self, prepared: Prepared, *, parallel: int, retry_wait: timedelta) -> None:
        plan = prepared.plan
        self.home = prepared.home
        self.stub = prepared.stub
        self.dag = prepared.dag
        self.session = prepared.session
        self.plan = plan
        self.dag_id = plan.dag_id
        self.recipes = Recipes(plan, self.home.recipes)
        self.places = {task.task_id: f"{plan.path.absolute()}:{task.place.line}" for task in plan.tasks}
        self.closes = {task.task_id: task.closes for task in plan.tasks if task.uses == "stop_sender" and task.closes}
        self.parallel = parallel
        self.retry_wait = retry_wait
        self.children = Children()
        self.seen: dict[str, tuple[str, int]] = {}
        self.begun: set[tuple[str, int]] = set()
        self.repeated: list[str] = []

    # --- the run

    def run(
        self, date: datetime | None, interval: DataInterval | None = None, stale: StaleSlice | None = None
    ) -> Generator[list[Change], None, None]:
        """
        Create or resume the run of `date`, and yield the changes at each poll, which may be none.

        :param date: Logical date; None for now. If its run succeeded before, a run without logical date checks for new
            data. If it did not succeed, it continues where it stopped.
        :param interval: Data interval of a new run; by default that of a manual run.
        :param stale: Instead of a date, the slice whose run repeats the tasks that compute its stale tables.
        :raises WallError: no run computes that slice.
        """
        self.run_row = self._dag_run(date or datetime.now(UTC), interval) if stale is None else self._run_again(stale)
        self.run_id = self.run_row.run_id
        try:
            yield self._finished_earlier()
            before, due = None, 0.0
            while True:
                now = self._snapshot()
                if now == before and time.monotonic() < due:
                    yield []
                else:
                    self._refresh()
                    yield list(self._changes())
                    if self.run_row.state in _ENDED:
                        return
                    refuse_neighbour(self.session, self.home.path, self.dag_id)
                    self._start_ready()
                    # No task's state shows that the run has ended, so the next refresh is due at once.
                    due = 0.0 if self.run_row.state in _ENDED else time.monotonic() + RECHECK
                    before = now
                time.sleep(POLL)
        finally:
            self._refresh()
            self.children.stop(is_over=self.run_row.state in _ENDED, signal_tasks=self._signal_tasks)
            self._end_run()

    def _snapshot(self) -> tuple[Any, ...]:
        """Return the input of Airflow's rules, from one small query: states of tasks, and tasks with a live process."""
        query = select(TaskInstance.id, TaskInstance.state, TaskInstance.try_number, TaskInstance.trigger_id).where(
            TaskInstance.dag_id == self.dag_id, TaskInstance.run_id == self.run_id
        )
        with engine().connect() as connection:
            return frozenset(map(tuple, connection.execute(query))), self.children.alive()

    def outcome(self) -> RunOutcome:
        """Return the outcome of the run."""
        rows = self.run_row.get_task_instances(session=self.session)
        results = results_of(self.session, self.run_row)
        states = {_name(row): str(row.state) for row in rows}
        success = self.run_row.state == DagRunState.SUCCESS
        return RunOutcome(self.run_id, success, self.resumed, self.repeated, states, results)

    def _dag_run(self, date: datetime, interval: DataInterval | None) -> DagRun:
        self.resumed = False
        existing = self.session.scalar(select(DagRun).where(DagRun.dag_id == self.dag_id, DagRun.logical_date == date))
        if existing is not None and existing.state != DagRunState.SUCCESS:
            return self._resume(existing)
        is_repeated = existing is not None
        unfinished = self.session.scalar(
            select(DagRun)
            .where(
                DagRun.dag_id == self.dag_id,
                DagRun.logical_date.is_(None),
                DagRun.run_after == date,
                DagRun.state != DagRunState.SUCCESS,
            )
            .order_by(DagRun.id.desc())
        )
        if is_repeated and unfinished is not None:
            return self._resume(unfinished)
        return self.create_run(date, interval, is_repeated=is_repeated)

    def _run_again(self, stale: StaleSlice) -> DagRun:
        """Clear the tasks that compute stale tables of a slice, and the tasks after them, in the run of that slice."""
        self.resumed = False
        runs = self.session.scalars(select(DagRun).where(DagRun.dag_id == self.dag_id)).all()
        run = next((run for run in runs if slice_of(run).id == stale.slice_id), None)
        if run is None:
            if stale.date is None:
                raise WallError(
                    f"no run in {short(self.home.path)} computed slice `{stale.slice_id}` of {listed(stale.tables)}",
                    hint="clear its tasks in the Airflow that computed it",
                )
            run = self.create_run(stale.date, None, is_repeated=False)
            for row in run.get_task_instances(session=self.session):
                row.state = TaskInstanceState.SUCCESS  # another Airflow has run them
        elif run.state != DagRunState.SUCCESS:
            self._resume(run)
        tasks = tasks_to_repeat(self.plan, stale)
        self._clear(run, tasks, include_downstream=False)
        run.state = DagRunState.RUNNING
        self.session.commit()
        return run

    def create_run(self, date: datetime, interval: DataInterval | None = None, *, is_repeated: bool = False) -> DagRun:
        """Create the run of a logical date, or another one for a date that has succeeded, without logical date."""
        if interval is None:
            interval = self.dag.timetable.infer_manual_data_interval(run_after=timezone.coerce_datetime(date))
        suffix = f"__{datetime.now(UTC):%Y%m%dT%H%M%S%f}" if is_repeated else ""
        run: DagRun = self.dag.create_dagrun(
            run_id=f"manual__{date.isoformat()}{suffix}",
            logical_date=None if is_repeated else date,
            data_interval=None if is_repeated else interval,
            run_after=date,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.CLI,
            state=DagRunState.RUNNING,
            start_date=datetime.now(UTC),
            session=self.session,
        )
        self.session.commit()
        return run

    def _clear(self, run: DagRun, tasks: Collection[str], *, include_downstream: bool) -> None:
        subset = self.dag.partial_subset(
            task_ids=list(tasks), include_downstream=include_downstream, include_upstream=False
        )
        subset.clear(
            run_id=run.run_id, dag_run_state=DagRunState.RUNNING, run_on_latest_version=True, session=self.session
        )

    def _resume(self, run: DagRun) -> DagRun:
        """
        Clear the tasks that did not succeed, with their setups and teardowns, as clearing in the UI does.

        Also clear successful tasks that are out of date: tasks whose inputs have changed since, and the setup of a
        release that was rolled back.
        """
        self.resumed = True
        self._end_tasks(run)  # their processes died with the earlier `airflow-wall run`
        rows = run.get_task_instances(session=self.session)
        finished = [row.task_id for row in rows if row.state == TaskInstanceState.SUCCESS]
        unfinished = [
            row.task_id for row in rows if row.state not in (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED)
        ]
        failed = {row.task_id for row in rows if row.state == TaskInstanceState.FAILED}
        taken_back = [opener for closer, opener in self.closes.items() if closer in failed]
        self.repeated = self.recipes.outdated(run.run_id, finished)
        if again := [*unfinished, *taken_back, *self.repeated]:
            self._clear(run, again, include_downstream=True)
        run.state = DagRunState.RUNNING
        self.session.commit()
        return run

    def _end_tasks(self, run: DagRun) -> None:
        for row in run.get_task_instances(session=self.session):
            if row.state in _UNDER_WAY:
                row.state = TaskInstanceState.FAILED
        self.session.commit()

    def _end_run(self) -> None:
        """Fail the run if it was interrupted, so that nobody waits for it and no scheduler takes it over."""
        self._refresh()
        if self.run_row.state not in _ENDED:
            self._end_tasks(self.run_row)
            self.run_row.state = DagRunState.FAILED
            self.session.commit()

    def _signal_tasks(self, number: signal.Signals) -> set[UUID]:
        """Send a signal to the running tasks, and return their ids. SIGKILL also ends their child processes."""
        self._refresh()
        signalled = set()
        for row in self.run_row.get_task_instances(session=self.session):
            if row.state == TaskInstanceState.RUNNING and row.pid:
                signalled.add(row.id)
                with contextlib.suppress(ProcessLookupError):
                    # Airflow's supervisor makes each task the leader of a process group.
                    (os.killpg if number == signal.SIGKILL else os.kill)(row.pid, number)
        return signalled

    def _refresh(self) -> None:
        """Discard cached rows, and roll back a statement that ^C interrupted: the session is unusable until then."""
        self.session.rollback()
        self.session.expire_all()

    def _start_ready(self) -> None:
        self.run_row.dag = self.dag
        ready, _ = self.run_row.update_state(session=self.session, execute_callbacks=False)
        rows = self.run_row.get_task_instances(session=self.session)
        busy = sum(row.state in _UNDER_WAY for row in rows)
        # Tasks whose trigger has fired: Airflow has already scheduled them, and they continue the same try.
        resumed = [row for row in rows if row.state == TaskInstanceState.SCHEDULED and row.next_method]
        for row in [*ready, *self._due_retries(rows), *resumed]:
            if busy >= self.parallel:
                break
            if row.state != TaskInstanceState.UP_FOR_RESCHEDULE and not row.next_method:
                row.try_number += 1
            row.state = TaskInstanceState.QUEUED
            row.queued_dttm = row.scheduled_dttm = datetime.now(UTC)
            self.session.commit()
            self.recipes.note(self.run_id, row.task_id)
            self.begun.add((_name(row), row.try_number))
            self.children.supervise(row.id, ExecuteTask.make(row, dag_rel_path=self.stub.relative_to(self.home.bundle)))
            busy += 1
        for row in rows:
            if row.state == TaskInstanceState.DEFERRED and row.trigger_id is not None and not self.children.has(row.id):
                self.children.wait_for_trigger(row.id, row.trigger_id)
        self._fail_lost(rows)
        self.session.commit()

    def _due_retries(self, rows: list[TaskInstance]) -> list[TaskInstance]:
        """Return the tasks that have waited for a retry for `retry_wait`, even if the pipeline sets a longer delay."""
        now = datetime.now(UTC)
        waiting = [row for row in rows if row.state == TaskInstanceState.UP_FOR_RETRY and not self.children.has(row.id)]
        return [row for row in waiting if row.end_date is not None and row.end_date + self.retry_wait <= now]

    def _fail_lost(self, rows: list[TaskInstance]) -> None:
        """Report tasks whose supervisor was killed to Airflow, which then retries or fails them."""
        for row in rows:
            if row.state in _UNDER_WAY and not self.children.has(row.id):
                self.session.refresh(row)
                if row.state in _UNDER_WAY:
                    row.task = self.dag.get_task(row.task_id)
                    row.handle_failure("the process that supervised the task was killed", session=self.session)

    # --- changes and messages

    def _finished_earlier(self) -> list[Change]:
        changes = []
        for row in self.run_row.get_task_instances(session=self.session):
            if row.state == TaskInstanceState.SUCCESS:
                self.seen[_name(row)] = (str(row.state), row.try_number)
                changes.append(Change(_name(row), str(row.state), row.try_number, _seconds(row), earlier=True))
        return changes

    def _changes(self) -> Iterator[Change]:
        for row in self.run_row.get_task_instances(session=self.session):
            state = str(row.state) if row.state else "none"
            if self.seen.get(_name(row)) == (state, row.try_number):
                continue
            self.seen[_name(row)] = (state, row.try_number)
            if state == "none":
                continue
            begun = (_name(row), row.try_number) in self.begun
            has_reason = begun and state in ("failed", "up_for_retry", "skipped")
            yield Change(
                _name(row),
                state,
                row.try_number,
                _seconds(row) if begun and state not in ("queued", "running", "scheduled") else None,
                self._message(row) if has_reason else None,
                log=self._log_of(row) if state == "running" else None,
            )

    def _log_of(self, row: TaskInstance) -> Path:
        return self.home.logs / (ExecuteTask.make(row, dag_rel_path=self.stub).log_path or "")

    def _message(self, row: TaskInstance) -> str | None:
        """Return the reason why the task failed or was skipped, from its log."""
        reason = failure_reason(self._log_of(row))
        if reason and reason.startswith(f"task `{row.task_id}`"):
            return reason.replace(f"`{row.task_id}`", f"`{_name(row)}`", 1)
        if row.state == TaskInstanceState.SKIPPED:
            return reason
        return f"task `{_name(row)}` ({self.places.get(row.task_id, self.plan.path.absolute())}): {reason or SILENT}"


def has_succeeded(prepared: Prepared, date: datetime) -> bool:
    """Return whether the run of a logical date ended in success before."""
    query = select(DagRun.state).where(DagRun.dag_id == prepared.plan.dag_id, DagRun.logical_date == date)
    return bool(prepared.session.scalar(query) == DagRunState.SUCCESS)


def results_of(session: Session, run: DagRun) -> dict[str, Any]:
    """Return task -> its return value in a run."""
    xcoms = session.scalars(
        select(XComModel).where(
            XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id, XComModel.key == "return_value"
        )
    )
    return {_name(row): XComModel.deserialize_value(row) for row in xcoms}


def _name(row: TaskInstance | XComModel) -> str:
    """Return the id of a task, with the index of a mapped one."""
    return row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def _seconds(row: TaskInstance) -> float | None:
    return (row.end_date - row.start_date).total_seconds() if row.start_date and row.end_date else None
