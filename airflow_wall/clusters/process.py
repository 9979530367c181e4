"""A job in a process of its own on this machine, which dies with the task that waits for it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_wall.clusters.answers import result_of
from airflow_wall.clusters.base import Document, Log
from airflow_wall.errors import Interrupted, WallError
from airflow_wall.processes import dying_with_parent

_EVERY = 2.0


def run_job_process(
    python: str,
    job: Document,
    connections: Mapping[str, Document],
    log: Log,
    *,
    environment: Mapping[str, str],
    name: str,
    why_end: Callable[[], WallError | None] = lambda: None,
) -> dict[str, Any]:
    """
    Run a job document by another Python and return its result.

    :param python: The interpreter; it must have `airflow_wall.jobs`.
    :param connections: The connections the job may read, by id. They go by standard input, so no list of processes
        shows them.
    :param log: Is given each line that the job writes to standard error.
    :param environment: The whole environment of the process.
    :param name: Name of the cluster, for messages.
    :param why_end: Is asked every few seconds; an error that it returns ends the process, and is raised.
    :raises Interrupted: the process died.
    """
    process = subprocess.Popen(  # noqa: S603  which Python is said by the deployment or the DAG, never by data
        [python, "-m", "airflow_wall.jobs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
        preexec_fn=dying_with_parent(),
    )
    request = {"job": dict(job), "connections": {key: dict(value) for key, value in connections.items()}}
    with process, _ended_for(why_end, process) as reasons:
        try:
            answer = _talk(process, json.dumps(request), log)
        except BaseException:  # this task is told to stop, and its job with it
            process.kill()
            raise
    if reasons and process.returncode < 0:
        raise reasons[0]
    return _result(answer, process.returncode, name)


@contextlib.contextmanager
def _ended_for(why_end: Callable[[], WallError | None], process: subprocess.Popen[str]) -> Iterator[list[WallError]]:
    """Look beside the work whether there is a reason to end it. The reason comes in the list."""
    reasons: list[WallError] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_EVERY):
            reason = why_end()
            if reason is not None:
                reasons.append(reason)
                process.kill()
                return

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield reasons
    finally:
        over.set()
        looking.join()


def _talk(process: subprocess.Popen[str], request: str, log: Log) -> str:
    """Send the request, pass on log lines as they come, and return what the job answers."""
    assert process.stdin is not None
    assert process.stdout is not None
    reader = threading.Thread(target=_forward, args=(process.stderr, log), daemon=True)
    reader.start()
    with (
        contextlib.suppress(BrokenPipeError),
        process.stdin as pipe,
    ):  # a job that is dead already is told from its exit
        pipe.write(request)
    answer = process.stdout.read()
    reader.join()
    return answer


def _forward(lines: Any, log: Log) -> None:
    for line in lines:
        log(line.rstrip("\n"))


def _result(answer: str, code: int, name: str) -> dict[str, Any]:
    try:
        return result_of(answer, f"the job on cluster `{name}`")
    except ValueError:
        how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = "its last lines are in the task's log; SIGKILL often means that memory ran out: raise the worker's limit"
        raise Interrupted(f"the job's process on cluster `{name}` {how}", hint=hint) from None
