"""Run a job in a child process on this machine, which dies with the task that waits for it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_wall.environments.answers import result_of
from airflow_wall.environments.base import Document, Log
from airflow_wall.environments.warm import JobProcess, start_warm
from airflow_wall.errors import Interrupted, WallError
from airflow_wall.processes.lifetime import dying_with_parent

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
    Run a job document with a Python that has `airflow_wall.jobs`, and return its result.

    :param python: The interpreter.
    :param connections: The connections the job may read, by id.
    :param log: Called with each line that the job writes to standard error.
    :param environment: All environment variables of the process.
    :param name: Name of the cluster, for messages.
    :param why_end: Called every few seconds; an error that it returns ends the process, and is raised.
    :raises Interrupted: the process died.
    """
    process: JobProcess | None = start_warm(environment) if python == sys.executable else None
    if process is None:
        process = _start([python, "-m", "airflow_wall.jobs"], environment)
    return _run(process, job, connections, log, where=f"on cluster `{name}`", why_end=why_end)


def run_job_command(
    command: Sequence[str],
    job: Document,
    connections: Mapping[str, Document],
    log: Log,
    *,
    environment: Mapping[str, str],
    where: str,
    why_end: Callable[[], WallError | None] = lambda: None,
) -> dict[str, Any]:
    """
    Run a job document with a command that does the same as `python -m airflow_wall.jobs`, and return its result.

    Connections are sent by standard input, so no list of processes shows them. Standard input stays open until the job
    has answered: a job that cannot be killed from here ends when it closes.

    :param where: The place of the job, for messages, e.g. `on cluster x`.
    :param why_end: Called every few seconds; an error that it returns ends the process, and is raised.
    :raises Interrupted: the process died.
    """
    return _run(_start(command, environment), job, connections, log, where=where, why_end=why_end)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  the deployment or the DAG names the program, never data
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
        preexec_fn=dying_with_parent(),
    )


def _run(
    process: JobProcess,
    job: Document,
    connections: Mapping[str, Document],
    log: Log,
    *,
    where: str,
    why_end: Callable[[], WallError | None],
) -> dict[str, Any]:
    request = {"job": dict(job), "connections": {key: dict(value) for key, value in connections.items()}}
    with process, _ended_on(why_end, process) as reasons:
        try:
            answer = _talk(process, json.dumps(request), log)
        except BaseException:  # this task must stop, and its job with it
            process.kill()
            raise
    if reasons and process.returncode < 0:
        raise reasons[0]
    return _result(answer, process.returncode, where)


@contextlib.contextmanager
def _ended_on(why_end: Callable[[], WallError | None], process: JobProcess) -> Iterator[list[WallError]]:
    """Check in a thread for a reason to end the process. The list receives the reason."""
    reasons: list[WallError] = []
    finished = threading.Event()

    def check() -> None:
        while not finished.wait(_EVERY):
            reason = why_end()
            if reason is not None:
                reasons.append(reason)
                process.kill()
                return

    checker = threading.Thread(target=check, daemon=True)
    checker.start()
    try:
        yield reasons
    finally:
        finished.set()
        checker.join()


def _talk(process: JobProcess, request: str, log: Log) -> str:
    """Send the request, pass on log lines as they arrive, and return the job's answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    reader = threading.Thread(target=_forward, args=(process.stderr, log), daemon=True)
    reader.start()
    with contextlib.suppress(BrokenPipeError):  # the exit code reports a job that has already died
        process.stdin.write(f"{request}\n")
        process.stdin.flush()
    answer = process.stdout.read()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    reader.join()
    return answer


def _forward(lines: Any, log: Log) -> None:
    for line in lines:
        log(line.rstrip("\n"))


def _result(answer: str, code: int, where: str) -> dict[str, Any]:
    try:
        return result_of(answer, f"the job {where}")
    except ValueError:
        outcome = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = "read its last lines in the task's log; SIGKILL often means out of memory: raise the worker's limit"
        raise Interrupted(f"the job's process {where} {outcome}", hint=hint) from None
