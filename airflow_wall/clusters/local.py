"""The `local` cluster: each job is a process of its own on the worker's machine, with bounded threads and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

from airflow_wall import state
from airflow_wall.clusters.base import Deleted, Document, Log, Site, State, not_running
from airflow_wall.clusters.documents import DocumentFleet, begun, path_of
from airflow_wall.environments.backends import ENVIRONMENTS, open_environment
from airflow_wall.environments.process import run_job_process

_THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")


class LocalCluster:
    """
    Processes on this machine, under one name.

    :param name: Its name.
    :param config: `threads` and `memory` that one job may use.
    :param site: In whose folder of our own state in the lake the cluster is one document.
    """

    environments: Collection[str] = tuple(ENVIRONMENTS)

    def __init__(self, name: str, config: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.document = path_of(name, site)

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster of this name, or create it."""
        described = {
            "type": "local",
            "name": self.name,
            "threads": self.config.get("threads", 2),
            "memory": self.config.get("memory", "2GB"),
        }
        state.create(self.document, {**begun(self.name, self.config, self.site), **described})
        return described

    def state(self) -> State | None:
        """Running from when it was created; there is nothing to wait for."""
        return None if state.read(self.document) is None else State.RUNNING

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """Run a job in a process of its own, which dies with this one."""
        running = state.read(self.document)
        if running is None:
            raise not_running(self.name)
        if job["environment"]:
            environment = open_environment(job["environment"])
            return environment.run(job, connections, log, limits=_limits(running))
        return run_job_process(sys.executable, job, connections, log, environment=_environment(running), name=self.name)

    def delete(self) -> Deleted:
        """Forget the cluster: no job can be started on it any more."""
        try:
            self.document.unlink()
        except FileNotFoundError:
            return Deleted()
        return Deleted(ended=(self.name,))


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> LocalCluster:
    """The cluster of that name."""
    return LocalCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> DocumentFleet:  # noqa: ARG001
    """All there are: between jobs a document each and no process, so a lease that has ended is only forgotten."""
    return DocumentFleet("local", site, open_cluster)


def _environment(running: Mapping[str, Any]) -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, **_limits(running), "PYTHONPATH": paths}


def _limits(running: Mapping[str, Any]) -> dict[str, str]:
    threads = str(running["threads"])
    bounds = {"AIRFLOW_WALL_THREADS": threads, "AIRFLOW_WALL_MEMORY": str(running["memory"])}
    return {**dict.fromkeys(_THREADS_OF_LIBRARIES, threads), **bounds}
