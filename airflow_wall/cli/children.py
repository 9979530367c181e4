"""
The processes of tasks: each is supervised by one of its own, as is each trigger that a deferred task waits for.

They die with this one, and ^C is not theirs: who holds them decides what ends.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Collection, Iterable
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import UUID

import httpx
from airflow.executors.workloads import ExecuteTask
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, in_process_api_server, supervise_task
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]  # it re-exports it

from airflow_wall.cli.metadata import engine, new_session
from airflow_wall.jobs.table import JOBS
from airflow_wall.processes import die_with_parent

_GRACE = 5.0
"""Seconds that a task has after ^C to end what it began elsewhere."""

_REPORT = 3.0
"""Seconds that supervisors have after a run to report."""

_FORK = multiprocessing.get_context("fork")


class Children:
    """The processes of one run's tasks, each known by the id of its task instance."""

    def __init__(self) -> None:
        self._processes: dict[UUID, BaseProcess] = {}

    def supervise(self, task: UUID, workload: ExecuteTask) -> None:
        """Begin a task's process, and one that watches it."""
        self._fork(task, _run_task, workload)

    def wait_for_trigger(self, task: UUID, trigger_id: int) -> None:
        """Begin a process that waits for a trigger, and hands its event to the task."""
        self._fork(task, _run_trigger, trigger_id)

    def has(self, task: UUID) -> bool:
        """Whether there lives a process of the task, or of the trigger it waits for."""
        process = self._processes.get(task)
        return process is not None and process.is_alive()

    def stop(self, *, is_over: bool, kill_tasks: Callable[[], None]) -> None:
        """
        Stop what is left: after a run there is nothing, after ^C there may be.

        A supervisor hands SIGTERM on to its task, whose `on_kill` ends what the task began elsewhere.

        :param is_over: Whether the run is, so that supervisors have only to report.
        :param kill_tasks: Kills the processes of tasks whose supervisors do not end.
        """
        _join(self._processes.values(), _REPORT if is_over else 0)
        left = [process for process in self._processes.values() if process.is_alive()]
        for process in left:
            process.terminate()
        _join(left, _GRACE)
        if left:
            kill_tasks()
        for process in left:
            process.kill()
            process.join()

    def _fork(self, task: UUID, target: Callable[[Any], None], argument: Any) -> None:
        process = _FORK.Process(target=target, args=(argument,), daemon=False)
        process.start()
        self._processes[task] = process


def _join(processes: Iterable[BaseProcess], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(timeout=max(0, deadline - time.monotonic()))


def warm_up(kinds: Collection[str]) -> None:
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
    engine().dispose(close=False)


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
    session = new_session()
    row = session.get_one(Trigger, trigger_id)
    trigger = import_string(row.classpath)(**row.kwargs)

    async def first_event() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(first_event())
    Trigger.submit_event(trigger_id, event, session=session)
    session.commit()
