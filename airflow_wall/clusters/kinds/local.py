"""The `local` cluster: each job is a process on the worker's machine, with limits on threads and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

from airflow_wall.clusters.base import ClusterSite, ClusterState, Deleted, Document, Log, not_running
from airflow_wall.clusters.documents import FOLDER, DocumentFleet, new_document
from airflow_wall.environments.backends import ENVIRONMENTS, open_environment
from airflow_wall.environments.process import run_job_process
from airflow_wall.environments.warm import THREADS

_DEFAULTS = {"threads": 2, "memory": "2GB"}


class LocalCluster:
    """
    A cluster of processes on this machine.

    :param name: The cluster's name.
    :param config: `threads` and `memory` that one job may use.
    :param site: The cluster is one document in the lake of the site.
    """

    environments: Collection[str] = tuple(ENVIRONMENTS)

    def __init__(self, name: str, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.documents = site.lake.documents(FOLDER)
        self.key = f"{name}.json"

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster with this name, or create it."""
        described = {
            "type": "local",
            "name": self.name,
            **{key: self.config.get(key, default) for key, default in _DEFAULTS.items()},
        }
        self.documents.create(self.key, {**new_document(self.name, self.config, self.site), **described})
        return described

    def state(self) -> ClusterState | None:
        """Return `RUNNING` if the document exists; the cluster runs as soon as it is created."""
        return None if self.documents.get(self.key) is None else ClusterState.RUNNING

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """Run a job in a child process, which dies with this one."""
        if self.documents.get(self.key) is None:
            raise not_running(self.name)
        if job["environment"]:
            own = open_environment(job["environment"])
            return own.run(job, connections, log, limits=limits(self.config))
        environment = _environment(self.config)
        return run_job_process(sys.executable, job, connections, log, environment=environment, name=self.name)

    def delete(self) -> Deleted:
        """Remove the cluster's document, so that no more jobs can start on it."""
        if self.documents.get(self.key) is None:
            return Deleted()
        self.documents.delete(self.key)
        return Deleted(ended=(self.name,))


def open_cluster(name: str, config: Mapping[str, Any], site: ClusterSite) -> LocalCluster:
    """Return the cluster with that name."""
    return LocalCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: ClusterSite) -> DocumentFleet:  # noqa: ARG001
    """Return all local clusters. They run no processes between jobs, so ending one removes only its document."""
    return DocumentFleet("local", site, open_cluster)


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, **limits(config), "PYTHONPATH": paths}


def limits(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that limit the threads and memory of a job on this cluster."""
    bounds = {key: str(config.get(key, default)) for key, default in _DEFAULTS.items()}
    return {
        **dict.fromkeys(THREADS, bounds["threads"]),
        "AIRFLOW_WALL_THREADS": bounds["threads"],
        "AIRFLOW_WALL_MEMORY": bounds["memory"],
    }
