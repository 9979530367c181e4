"""A job in a process of its own on this machine, which dies with the task that waits for it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_wall.environments.answers import result_of
from airflow_wall.environments.base import Document, Log
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
    Run a job document by a Python that has `airflow_wall.jobs`, and return its result.

    :param python: The interpreter.
    :param connections: The connections the job may read, by id.
    :param log: Is given each line that the job writes to standard error.
    :param environment: The whole environment of the process.
    :param name: Name of the cluster, for messages.
    :param why_end: Is asked every few seconds; an error that it returns ends the process, and is raised.
    :raises Interrupted: the process died.
    """
    command = [python, "-m", "airflow_wall.jobs"]
    where = f"on cluster `{name}`"
    return run_job_command(command, job, connections, log, environment=environment, where=where, why_end=why_end)


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
    Run a job document by a command that does what `python -m airflow_wall.jobs` does, and return its result.

    Connections go by standard input, so no list of processes shows them. It stays open until the job has answered, so
    that a job that cannot be killed from here ends with it.

    :param where: Where that is, for messages, e.g. `on cluster x`.
    :param why_end: As above.
    :raises Interrupted: the process died.
    """
    process = subprocess.Popen(  # noqa: S603  which program is said by the deployment or the DAG, never by data
        command,
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
    return _result(answer, process.returncode, where)


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
    with contextlib.suppress(BrokenPipeError):  # a job that is dead already is told from its exit
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
        how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = "its last lines are in the task's log; SIGKILL often means that memory ran out: raise the worker's limit"
        raise Interrupted(f"the job's process {where} {how}", hint=hint) from None
