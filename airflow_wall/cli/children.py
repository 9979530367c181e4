"""
The processes of tasks. Each task, and each trigger that a deferred task waits for, has a supervisor process of its own.

They die with this process, and they ignore ^C: their owner decides what to stop.
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
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]  # it re-exports it

from airflow_wall.cli.airflow_versions import execution_api, execution_client, supervise_task
from airflow_wall.cli.metadata import engine, new_session
from airflow_wall.jobs.base import JOBS
from airflow_wall.processes.lifetime import die_with_parent

_GRACE = 5.0
"""Seconds that a task has after ^C to cancel its work elsewhere."""

_REPORT = 3.0
"""Seconds that supervisors have to report after a run."""

_FORK = multiprocessing.get_context("fork")


class Children:
    """The processes of one run's tasks, by the id of the task instance."""

    def __init__(self) -> None:
        self._processes: dict[UUID, BaseProcess] = {}

    def supervise(self, task: UUID, workload: ExecuteTask) -> None:
        """Start a task in a process, under a supervisor process."""
        self._fork(task, _run_task, workload)

    def wait_for_trigger(self, task: UUID, trigger_id: int) -> None:
        """Start a process that waits for a trigger and passes its event to the task."""
        self._fork(task, _run_trigger, trigger_id)

    def has(self, task: UUID) -> bool:
        """Return True if the process of the task, or of the trigger it waits for, is alive."""
        process = self._processes.get(task)
        return process is not None and process.is_alive()

    def alive(self) -> frozenset[UUID]:
        """Return the tasks that have a process."""
        return frozenset(task for task, process in self._processes.items() if process.is_alive())

    def stop(self, *, is_over: bool, signal_tasks: Callable[[signal.Signals], set[UUID]]) -> None:
        """
        Stop the remaining processes: there are none after a run, but there may be some after ^C.

        A task gets SIGTERM, so that its `on_kill` cancels its work elsewhere, and SIGKILL if that takes too long. The
        signal goes to the task's own process, because supervisors of Airflow 3.4 do not forward it.

        :param is_over: True if the run has ended, so that supervisors only need time to report.
        :param signal_tasks: Sends a signal to the running tasks, and returns their ids.
        """
        _join(self._processes.values(), _REPORT if is_over else 0)
        left = {task: process for task, process in self._processes.items() if process.is_alive()}
        if not left:
            return
        signalled = signal_tasks(signal.SIGTERM)
        for task, process in left.items():
            if task not in signalled:  # it waits for a trigger, or has not started
                process.terminate()
        _join(left.values(), _GRACE)
        signal_tasks(signal.SIGKILL)
        for process in left.values():
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
    Do the work once, before any fork, that each task's process would otherwise repeat.

    The first response of the Execution API takes seconds, because it builds its routes. Importing an engine takes a
    second or two. Nothing here starts a thread, because a fork would lose it.
    """
    for kind in kinds:
        importlib.import_module(JOBS.module(kind))
    app = execution_api().app

    async def ask() -> None:
        # Its lifespan can be entered only once, by the task's process. Here any response is enough.
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
            await client.get("/health")

    asyncio.run(ask())


def in_new_process() -> None:
    """Set up a forked process: it dies with its parent, ignores ^C, and opens its own connections."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    engine().dispose(close=False)


def _run_task(workload: ExecuteTask) -> None:
    """Supervise one task, in a process of its own."""
    in_new_process()
    supervise_task(
        ti=workload.ti,
        bundle_info=workload.bundle_info,
        dag_rel_path=workload.dag_rel_path,
        token="",
        log_path=workload.log_path,
        client=execution_client(),
    )


def _run_trigger(trigger_id: int) -> None:
    """Wait for one trigger of a deferred task, in a process of its own, and pass its event to the task."""
    in_new_process()
    session = new_session()
    row = session.get_one(Trigger, trigger_id)
    trigger = import_string(row.classpath)(**row.kwargs)

    async def first_event() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(first_event())
    Trigger.submit_event(trigger_id, event, session=session)
    session.commit()
