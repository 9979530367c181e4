"""The `local` cluster: each job is a process of its own on the worker's machine, with bounded threads and memory."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.answers import result_of
from airflow_wall.clusters.base import Deleted, Document, Found, Log, Site, State, not_running
from airflow_wall.errors import Interrupted

_PR_SET_PDEATHSIG = 1
_THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")


class LocalCluster:
    """
    Processes on this machine, under one name.

    :param name: Its name.
    :param config: `threads` and `memory` that one job may use.
    :param site: In whose folder of our own state in the lake the cluster is one document.
    """

    def __init__(self, name: str, config: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.config = config
        self.document = site.state / "clusters" / f"{name}.json"

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster of this name, or create it."""
        described = {
            "type": "local",
            "name": self.name,
            "threads": self.config.get("threads", 2),
            "memory": self.config.get("memory", "2GB"),
        }
        state.create(self.document, {**described, "started": datetime.now(UTC).isoformat()})
        return described

    def state(self) -> State | None:
        """Running from when it was created; there is nothing to wait for."""
        return None if state.read(self.document) is None else State.RUNNING

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """Run a job in a process of its own, which dies with this one."""
        running = state.read(self.document)
        if running is None:
            raise not_running(self.name)
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_wall.jobs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(running),
            preexec_fn=_die_with_parent(os.getpid()),
        )
        request = {"job": dict(job), "connections": {key: dict(value) for key, value in connections.items()}}
        with process:
            try:
                answer = _talk(process, json.dumps(request), log)
            except BaseException:  # this task is told to stop, and its job with it
                process.kill()
                raise
        return _result(answer, process.returncode, self.name)

    def delete(self) -> Deleted:
        """Forget the cluster: no job can be started on it any more."""
        try:
            self.document.unlink()
        except FileNotFoundError:
            return Deleted()
        return Deleted(ended=(self.name,))


class LocalFleet:
    """All local clusters: between jobs they are documents and no process, so there is nothing to end."""

    def list(self) -> Sequence[Found]:
        """None."""
        return ()

    def end(self, found: Found) -> None:
        """Nothing to do."""


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> LocalCluster:
    """The cluster of that name."""
    return LocalCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> LocalFleet:  # noqa: ARG001
    """All there are."""
    return LocalFleet()


def _environment(running: Mapping[str, Any]) -> dict[str, str]:
    threads = str(running["threads"])
    limits = dict.fromkeys(_THREADS_OF_LIBRARIES, threads)
    paths = os.pathsep.join(path for path in sys.path if path)
    return {
        **os.environ,
        **limits,
        "AIRFLOW_WALL_THREADS": threads,
        "AIRFLOW_WALL_MEMORY": str(running["memory"]),
        "PYTHONPATH": paths,
    }


def _die_with_parent(parent: int) -> Any:
    """
    A function for the child, between fork and exec: have the kernel kill it when the task that waits for it dies.

    Without it a killed task would leave its job running beside its own retry.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGKILL)

    return set_signal


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
