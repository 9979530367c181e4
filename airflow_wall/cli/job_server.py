"""Start the server that forks the jobs of a run's `local` cluster, so that each engine is imported only once."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_wall.clusters.kinds.local import limits
from airflow_wall.environments.warm import VARIABLE
from airflow_wall.jobs.base import JOBS
from airflow_wall.models.formats import FORMATS
from airflow_wall.planner.plan import Plan
from airflow_wall.processes.lifetime import dying_with_parent

_WITH_MODELS = frozenset(("retrain", "predict"))


def job_server(plan: Plan) -> contextlib.AbstractContextManager[None]:
    """
    Return a context in which a server forks the jobs of a plan's `local` cluster. It imports their modules meanwhile.

    Without such a cluster, or on a system other than Linux, it starts none, and each job imports its own modules.
    """
    config, modules = _local_cluster(plan), _modules(plan)
    if config is None or not modules or not sys.platform.startswith("linux"):
        return contextlib.nullcontext()
    return serve_jobs(config, modules)


@contextlib.contextmanager
def serve_jobs(config: Mapping[str, Any], modules: Iterable[str]) -> Iterator[None]:
    """
    Run a server for the jobs of this process and its forks while the block runs.

    :param config: Configuration of the `local` cluster, with the threads and memory for jobs.
    :param modules: Modules that the server imports.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own module, with names from our own tables
                [sys.executable, "-m", "airflow_wall.cli.job_fork_server", str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **limits(config)},
                pass_fds=[theirs.fileno()],
                preexec_fn=dying_with_parent(),
            )
        os.environ[VARIABLE] = f"{ours.fileno()}:{os.fstat(ours.fileno()).st_ino}"
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            process.kill()
            process.wait()


def _local_cluster(plan: Plan) -> Mapping[str, Any] | None:
    """Return the configuration of the plan's first `local` cluster."""
    configs = (task.arguments.get("cluster") for task in plan.tasks if task.uses == "start_cluster")
    return next((config for config in configs if isinstance(config, Mapping) and config.get("type") == "local"), None)


def _modules(plan: Plan) -> list[str]:
    """Return the modules of the jobs that the plan runs on clusters."""
    kinds = {task.uses for task in plan.tasks if "cluster" in task.arguments and task.uses in JOBS}
    formats = FORMATS.values() if kinds & _WITH_MODELS else ()
    return sorted({*(JOBS.module(kind) for kind in kinds), *formats})
