"""
Run one DAG on this machine, without scheduler, API server or containers.

A DagRun and its task instances are made in the metadata database. Airflow's own rules say what may run next; each task
is a process of its own under Airflow's supervisor, which speaks to an Execution API in the same process and writes the
task's log where the UI looks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Collection, Generator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from airflow import settings as airflow_settings
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.executors.workloads import ExecuteTask
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, in_process_api_server, supervise_task
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]  # it re-exports it
from airflow.utils.db import check_migrations, initdb
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from airflow_wall.cli.changes import Change, Outcome
from airflow_wall.cli.home import BUNDLE, Home
from airflow_wall.cli.recipes import Recipes
from airflow_wall.compiler.plan import Plan
from airflow_wall.errors import WallError
from airflow_wall.jobs.table import JOBS
from airflow_wall.processes import die_with_parent

POLL = 0.05
"""Seconds between two looks at the states of tasks."""

GRACE = 5.0
"""Seconds that a task has after ^C to end what it began elsewhere."""

_MEMORY = "hint: often that means that memory ran out: give the machine more, or say `--parallel 1`"
_SILENT = f"its process and the one that watched it were killed\n\n{_MEMORY}"

_UNDER_WAY = frozenset((TaskInstanceState.QUEUED, TaskInstanceState.RUNNING))
_ENDED = frozenset((DagRunState.SUCCESS, DagRunState.FAILED))
_FORK = multiprocessing.get_context("fork")


def prepare_database() -> None:
    """Create the metadata database, or bring it up to date. An SQLite file that is there and current costs 0.1 s."""
    if inspect(_engine()).has_table("dag_run"):
        with contextlib.suppress(TimeoutError):
            check_migrations(timeout=1)
            return
    initdb()


def _engine() -> Engine:
    assert airflow_settings.engine is not None, "importing Airflow makes it"
    return airflow_settings.engine


def _new_session() -> Session:
    assert airflow_settings.Session is not None, "importing Airflow makes it"
    session: Session = airflow_settings.Session()
    return session


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
        self.processes: dict[UUID, BaseProcess] = {}
        self.seen: dict[str, tuple[str, int]] = {}
        self.begun: set[tuple[str, int]] = set()
        self.repeated: list[str] = []
        self.session = _new_session()
        self._sync()
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=self.session)
        if dag is None:
            raise WallError(f"DAG `{dag_id}` did not reach Airflow's database", hint=f"look into `{home.console}`")
        self.dag = dag
        _warm_up(preload)

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
            self._stop_processes()
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
            self._fork(row, _run_task, (ExecuteTask.make(row, dag_rel_path=self.stub.relative_to(self.home.bundle)),))
            busy += 1
        for row in rows:
            if row.state == TaskInstanceState.DEFERRED and row.trigger_id is not None and not self._alive(row):
                self._fork(row, _run_trigger, (row.trigger_id,))
        self._fail_lost(rows)
        self.session.commit()

    def _due_retries(self, rows: list[TaskInstance]) -> list[TaskInstance]:
        """Tasks whose retry the pipeline puts later than a person at a terminal waits."""
        now = datetime.now(UTC)
        waiting = [row for row in rows if row.state == TaskInstanceState.UP_FOR_RETRY and not self._alive(row)]
        return [row for row in waiting if row.end_date is not None and row.end_date + self.retry_wait <= now]

    def _fail_lost(self, rows: list[TaskInstance]) -> None:
        """A supervisor that was killed reports nothing: tell Airflow, which then retries or fails the task."""
        for row in rows:
            if row.state in _UNDER_WAY and not self._alive(row):
                self.session.refresh(row)
                if row.state in _UNDER_WAY:
                    row.task = self.dag.get_task(row.task_id)
                    row.handle_failure("the process that supervised the task was killed", session=self.session)

    # --- processes

    def _fork(self, row: TaskInstance, target: Any, arguments: tuple[Any, ...]) -> None:
        process = _FORK.Process(target=target, args=arguments, daemon=False)
        process.start()
        self.processes[row.id] = process

    def _alive(self, row: TaskInstance) -> bool:
        process = self.processes.get(row.id)
        return process is not None and process.is_alive()

    def _stop_processes(self) -> None:
        """
        Let supervisors report, then stop what is left: after a run there is nothing, after ^C there may be.

        A supervisor hands SIGTERM on to its task, whose `on_kill` ends what the task began elsewhere.
        """
        _join(self.processes.values(), 3 if self.run_row.state in _ENDED else 0)
        left = [process for process in self.processes.values() if process.is_alive()]
        for process in left:
            process.terminate()
        _join(left, GRACE)
        if left:
            self._kill_groups()
        for process in left:
            process.kill()
            process.join()

    def _kill_groups(self) -> None:
        """Airflow's supervisor makes each task the leader of a process group; what is left of those ends here."""
        self._look_anew()
        for row in self.run_row.get_task_instances(session=self.session):
            if row.state == TaskInstanceState.RUNNING and row.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(row.pid, signal.SIGKILL)

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
        path = self.home.logs / (ExecuteTask.make(row, dag_rel_path=self.stub).log_path or "")
        found = None
        with contextlib.suppress(OSError):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    found = _words(json.loads(line)) or found
        if found and found.startswith(f"task `{row.task_id}`"):
            return found.replace(f"`{row.task_id}`", f"`{_name(row)}`", 1)
        if row.state == TaskInstanceState.SKIPPED:
            return found
        return f"task `{_name(row)}` ({self.places[row.task_id]}): {found or _SILENT}"


def _words(entry: dict[str, Any]) -> str | None:
    details = entry.get("error_detail") or entry.get("exception")
    if isinstance(details, list) and details and isinstance(details[0], dict) and details[0].get("exc_value"):
        kind, value = details[0].get("exc_type"), str(details[0]["exc_value"])
        return value if kind == "AirflowFailException" or value.startswith("task `") else f"{kind}: {value}"
    event = str(entry.get("event", ""))
    if event.startswith("Skipping"):
        return str(entry.get("reason") or event)
    if event.startswith("Process terminated by signal"):
        name = entry.get("signal_name")
        return f"its process was killed by signal {name}" + (f"\n\n{_MEMORY}" if name == "SIGKILL" else "")
    return None


def _name(row: TaskInstance | XComModel) -> str:
    """The id of a task; of a mapped one with its index."""
    return row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def _seconds(row: TaskInstance) -> float | None:
    return (row.end_date - row.start_date).total_seconds() if row.start_date and row.end_date else None


def _join(processes: Iterable[BaseProcess], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(timeout=max(0, deadline - time.monotonic()))


def _warm_up(kinds: Collection[str]) -> None:
    """
    Do once, before any fork, what each task's process would else do for itself.

    The first answer of the Execution API costs seconds, in which it builds its routes; engines cost a second or two to
    import. Nothing here starts a thread that a fork would lose.
    """
    for kind in kinds:
        importlib.import_module(JOBS[kind])
    app = in_process_api_server().app

    async def ask() -> None:
        # Its lifespan can be entered only once, and that is for the task's process: any answer will do here.
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
            await client.get("/variables/airflow-wall-warm-up")

    asyncio.run(ask())


def _in_new_process() -> None:
    # ^C reaches the whole group; the runner decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _engine().dispose(close=False)


def _run_task(workload: ExecuteTask) -> None:
    """Supervise one task, in a process of its own."""
    _in_new_process()
    supervise_task(
        ti=workload.ti,  # type: ignore[arg-type]  # what Airflow's own executors pass
        bundle_info=workload.bundle_info,
        dag_rel_path=workload.dag_rel_path,
        token="",
        log_path=workload.log_path,
        client=InProcessTestSupervisor._api_client(),  # what `dag.test()` uses; there is no public name for it
    )


def _run_trigger(trigger_id: int) -> None:
    """Wait for one trigger of a deferred task, in a process of its own, and hand its event to the task."""
    _in_new_process()
    session = _new_session()
    row = session.get_one(Trigger, trigger_id)
    trigger = import_string(row.classpath)(**row.kwargs)

    async def first_event() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(first_event())
    Trigger.submit_event(trigger_id, event, session=session)
    session.commit()
