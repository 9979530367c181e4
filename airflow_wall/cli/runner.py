"""
Run one DAG on this machine, without scheduler, API server or containers.

A DagRun and its task instances are made in the metadata database. Airflow's own rules say what may run next; each task
is a process of its own under Airflow's supervisor, which speaks to an Execution API in the same process and writes the
task's log where the UI looks for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.executors.workloads import ExecuteTask
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from airflow_wall.cli.changes import Change, Outcome
from airflow_wall.cli.children import Children, warm_up
from airflow_wall.cli.home import BUNDLE, Home
from airflow_wall.cli.last_words import SILENT, last_words
from airflow_wall.cli.metadata import new_session
from airflow_wall.cli.recipes import Recipes
from airflow_wall.compiler.plan import Plan
from airflow_wall.errors import WallError

POLL = 0.05
"""Seconds between two looks at the states of tasks."""

_UNDER_WAY = frozenset((TaskInstanceState.QUEUED, TaskInstanceState.RUNNING))
_ENDED = frozenset((DagRunState.SUCCESS, DagRunState.FAILED))


class Runner:
    """
    Runs one DAG once.

    :param home: Where state is kept; the process's environment must be set for it.
    :param stub: The file in the bundle that loads the DAG.
    :param plan: The pipeline.
    :param parallel: How many tasks run at once.
    :param retry_wait: The longest wait before a retry, whatever the pipeline says.
    :param preload: Kinds of jobs that will run in tasks' own processes.
    """

    def __init__(
        self,
        home: Home,
        stub: Path,
        plan: Plan,
        *,
        parallel: int,
        retry_wait: timedelta,
        preload: Collection[str] = (),
    ) -> None:
        self.home = home
        self.stub = stub
        self.dag_id = dag_id = plan.dag_id
        self.recipes = Recipes(plan, home.recipes)
        self.places = {task.task_id: f"{plan.path.absolute()}:{task.place.line}" for task in plan.tasks}
        self.closes = {task.task_id: task.closes for task in plan.tasks if task.uses == "stop_sender" and task.closes}
        self.parallel = parallel
        self.retry_wait = retry_wait
        self.children = Children()
        self.seen: dict[str, tuple[str, int]] = {}
        self.begun: set[tuple[str, int]] = set()
        self.repeated: list[str] = []
        self.session = new_session()
        self._sync()
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=self.session)
        if dag is None:
            raise WallError(f"DAG `{dag_id}` did not reach Airflow's database", hint=f"look into `{home.console}`")
        self.dag = dag
        warm_up(preload)

    def _sync(self) -> None:
        manager = DagBundlesManager()
        manager.sync_bundles_to_db(session=self.session)
        self.session.commit()
        bundle = manager.get_bundle(BUNDLE)
        bag = BundleDagBag(dag_folder=self.stub, bundle_path=bundle.path, bundle_name=BUNDLE)
        if bag.import_errors:
            raise WallError("\n".join(bag.import_errors.values()))
        sync_bag_to_db(bag, BUNDLE, bundle.version)

    # --- the run

    def run(self, date: datetime | None) -> Generator[list[Change], None, None]:
        """
        Make or go on with the run of `date`, and yield what has changed at each look, be it nothing.

        :param date: Logical date; None: now. If its run succeeded before, a run without logical date looks for data
            that came since; if it did not, it goes on where it stopped.
        """
        self.run_row = self._dag_run(date or datetime.now(UTC))
        self.run_id = self.run_row.run_id
        try:
            yield self._finished_earlier()
            while True:
                yield list(self._changes())
                if self.run_row.state in _ENDED:
                    return
                self._start_ready()
                time.sleep(POLL)
        finally:
            self._look_anew()
            self.children.stop(is_over=self.run_row.state in _ENDED, kill_tasks=self._kill_tasks)
            self._end_run()

    def outcome(self) -> Outcome:
        """How the run ended."""
        rows = self.run_row.get_task_instances(session=self.session)
        found = self.session.scalars(
            select(XComModel).where(
                XComModel.dag_id == self.dag_id, XComModel.run_id == self.run_id, XComModel.key == "return_value"
            )
        )
        results = {_name(row): XComModel.deserialize_value(row) for row in found}
        states = {_name(row): str(row.state) for row in rows}
        success = self.run_row.state == DagRunState.SUCCESS
        return Outcome(self.run_id, success, self.resumed, self.repeated, states, results)

    def _dag_run(self, date: datetime) -> DagRun:
        self.resumed = False
        found = self.session.scalar(select(DagRun).where(DagRun.dag_id == self.dag_id, DagRun.logical_date == date))
        if found is not None and found.state != DagRunState.SUCCESS:
            return self._resume(found)
        again = found is not None
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
        if again and unfinished is not None:
            return self._resume(unfinished)
        logical_date = None if again else date
        due = timezone.coerce_datetime(date)
        interval = None if again else self.dag.timetable.infer_manual_data_interval(run_after=due)
        suffix = f"__{datetime.now(UTC):%Y%m%dT%H%M%S%f}" if again else ""
        run: DagRun = self.dag.create_dagrun(
            run_id=f"manual__{date.isoformat()}{suffix}",
            logical_date=logical_date,
            data_interval=interval,
            run_after=date,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.CLI,
            state=DagRunState.RUNNING,
            start_date=datetime.now(UTC),
            session=self.session,
        )
        self.session.commit()
        return run

    def _resume(self, run: DagRun) -> DagRun:
        """
        Clear what did not succeed, with what opens and closes around it, as clearing in the UI does.

        Further what succeeded and is no longer what it was: tasks made from something that has changed since, and what
        was staged in a release that was taken back.
        """
        self.resumed = True
        self._end_tasks(run)  # their processes died with an earlier `airflow-wall run`
        rows = run.get_task_instances(session=self.session)
        finished = [row.task_id for row in rows if row.state == TaskInstanceState.SUCCESS]
        unfinished = [
            row.task_id for row in rows if row.state not in (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED)
        ]
        failed = {row.task_id for row in rows if row.state == TaskInstanceState.FAILED}
        taken_back = [opener for closer, opener in self.closes.items() if closer in failed]
        self.repeated = self.recipes.outdated(run.run_id, finished)
        if again := [*unfinished, *taken_back, *self.repeated]:
            subset = self.dag.partial_subset(task_ids=again, include_downstream=True, include_upstream=False)
            subset.clear(
                run_id=run.run_id, dag_run_state=DagRunState.RUNNING, run_on_latest_version=True, session=self.session
            )
        run.state = DagRunState.RUNNING
        self.session.commit()
        return run

    def _end_tasks(self, run: DagRun) -> None:
        for row in run.get_task_instances(session=self.session):
            if row.state in _UNDER_WAY:
                row.state = TaskInstanceState.FAILED
        self.session.commit()

    def _end_run(self) -> None:
        """After ^C nothing works on the run any more, and no one is to wait for it, nor a scheduler to take it over."""
        self._look_anew()
        if self.run_row.state not in _ENDED:
            self._end_tasks(self.run_row)
            self.run_row.state = DagRunState.FAILED
            self.session.commit()

    def _kill_tasks(self) -> None:
        """Airflow's supervisor makes each task the leader of a process group; what is left of those ends here."""
        self._look_anew()
        for row in self.run_row.get_task_instances(session=self.session):
            if row.state == TaskInstanceState.RUNNING and row.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(row.pid, signal.SIGKILL)

    def _look_anew(self) -> None:
        """Forget what was read, and a statement that ^C came amid: until that is done the session answers nothing."""
        self.session.rollback()
        self.session.expire_all()

    def _start_ready(self) -> None:
        self.session.expire_all()
        self.run_row.dag = self.dag
        ready, _ = self.run_row.update_state(session=self.session, execute_callbacks=False)
        rows = self.run_row.get_task_instances(session=self.session)
        busy = sum(row.state in _UNDER_WAY for row in rows)
        # What a trigger has handed its event to: Airflow has scheduled it already, and it is the same try.
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
        """Tasks whose retry the pipeline puts later than a person at a terminal waits."""
        now = datetime.now(UTC)
        waiting = [row for row in rows if row.state == TaskInstanceState.UP_FOR_RETRY and not self.children.has(row.id)]
        return [row for row in waiting if row.end_date is not None and row.end_date + self.retry_wait <= now]

    def _fail_lost(self, rows: list[TaskInstance]) -> None:
        """A supervisor that was killed reports nothing: tell Airflow, which then retries or fails the task."""
        for row in rows:
            if row.state in _UNDER_WAY and not self.children.has(row.id):
                self.session.refresh(row)
                if row.state in _UNDER_WAY:
                    row.task = self.dag.get_task(row.task_id)
                    row.handle_failure("the process that supervised the task was killed", session=self.session)

    # --- what is told

    def _finished_earlier(self) -> list[Change]:
        found = []
        for row in self.run_row.get_task_instances(session=self.session):
            if row.state == TaskInstanceState.SUCCESS:
                self.seen[_name(row)] = (str(row.state), row.try_number)
                found.append(Change(_name(row), str(row.state), row.try_number, _seconds(row), earlier=True))
        return found

    def _changes(self) -> Iterator[Change]:
        for row in self.run_row.get_task_instances(session=self.session):
            state = str(row.state) if row.state else "none"
            if self.seen.get(_name(row)) == (state, row.try_number):
                continue
            self.seen[_name(row)] = (state, row.try_number)
            if state == "none":
                continue
            begun = (_name(row), row.try_number) in self.begun
            told = begun and state in ("failed", "up_for_retry", "skipped")
            yield Change(
                _name(row),
                state,
                row.try_number,
                _seconds(row) if begun and state not in ("queued", "running", "scheduled") else None,
                self._last_words(row) if told else None,
            )

    def _last_words(self, row: TaskInstance) -> str | None:
        """What the task's log says of how its last try ended."""
        found = last_words(self.home.logs / (ExecuteTask.make(row, dag_rel_path=self.stub).log_path or ""))
        if found and found.startswith(f"task `{row.task_id}`"):
            return found.replace(f"`{row.task_id}`", f"`{_name(row)}`", 1)
        if row.state == TaskInstanceState.SKIPPED:
            return found
        return f"task `{_name(row)}` ({self.places[row.task_id]}): {found or SILENT}"


def _name(row: TaskInstance | XComModel) -> str:
    """The id of a task; of a mapped one with its index."""
    return row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def _seconds(row: TaskInstance) -> float | None:
    return (row.end_date - row.start_date).total_seconds() if row.start_date and row.end_date else None
