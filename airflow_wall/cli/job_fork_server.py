"""
Fork jobs from a process that has imported their engines.

Started as `python -m airflow_wall.cli.job_fork_server SOCKET MODULE ...`.

Imports cost a job one to two seconds, and a pipeline on one machine has many jobs. Each job is a separate process
without Airflow, like `python -m airflow_wall.jobs`. An attendant process waits beside it, and kills the job when the
task that waits for it ends. The attendant ends with this server, and this server ends with `airflow-wall run`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from airflow_wall.environments.warm import THREADS
from airflow_wall.jobs.__main__ import main as run_one_job
from airflow_wall.processes.lifetime import die_with_parent

_LONGEST = 1 << 20
_PR_SET_NAME = 15


def main(arguments: Sequence[str]) -> None:
    """Serve requests until the other end of the socket pair closes."""
    channel = socket.socket(fileno=int(arguments[0]))
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # ^C reaches the whole process group; the command decides which processes end
    for module in arguments[1:]:
        with contextlib.suppress(ImportError):  # a job that needs it reports the error
            importlib.import_module(module)
    gc.freeze()  # jobs share these memory pages, so their garbage collectors must not write to them
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps attendants
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, 4)
        if not message:
            return
        if os.fork() == 0:
            channel.close()
            _attend(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(request: Mapping[str, Any], descriptors: list[int]) -> NoReturn:
    """Fork the job, wait until the job or the task ends, and send the job's exit code."""
    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *pipes, connection = descriptors
    task = socket.socket(fileno=connection)
    if any(request["environment"].get(name) != os.environ.get(name) for name in THREADS):
        task.send(b"refused")
        os._exit(0)
    job = os.fork()
    if job == 0:
        task.close()
        _work(request, pipes)
    for descriptor in pipes:
        os.close(descriptor)
    task.send(b"started")
    handle = os.pidfd_open(job)
    ended, _, _ = select.select([handle, task.fileno()], [], [])
    if handle not in ended:
        os.kill(job, signal.SIGKILL)
    _, status = os.waitpid(job, 0)
    with contextlib.suppress(OSError):  # the task has ended
        task.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _work(request: Mapping[str, Any], pipes: Sequence[int]) -> NoReturn:
    """Run the job in this process, with the task's pipes, environment, directory and import path."""
    code = 1
    try:
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_NAME, f"job-{request['task']}".encode())  # the name in `ps` and `top`
        for target, descriptor in enumerate(pipes):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path[:] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path] or sys.path
        code = run_one_job([])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
