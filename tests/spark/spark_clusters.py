"""Small clusters of Spark for tests, jobs for them, and what processes there are of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.clusters.base import ClusterSite, Owner
from airflow_wall.job import Job, Run, Slice
from airflow_wall.lake.lake import Lake

os.environ["AIRFLOW_CONN_CANARY"] = "canary"  # what a task has, and Spark must not
SMALL: dict[str, Any] = {
    "type": "spark",
    "workers": {"count": 1, "cores": 2, "memory": "1GB"},
    "conf": {"spark.sql.shuffle.partitions": 2},
}
SLICE = Slice("20130701T000000Z", "2013-07-01T00:00:00+00:00")


def site_of(folder: Path) -> ClusterSite:
    return ClusterSite(Lake(folder / "lake"), Owner("test", "churn", "manual"), lambda kind, config: pytest.fail(kind))


def run_of(folder: Path, task_id: str = "normalize") -> Run:
    return Run("churn", "manual", task_id, 1, SLICE, folder / "lake", folder, folder)


def job_of(folder: Path, **arguments: Any) -> dict[str, Any]:
    return Job("transform", arguments, run_of(folder)).to_json()


def processes_of(name: str) -> dict[int, str]:
    """The processes that were started for a cluster, by what their environment says, with what they are."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if f"AIRFLOW_WALL_CLUSTER={name}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = _what((folder / "cmdline").read_bytes().decode())
    return found


def _what(command: str) -> str:
    kinds = {
        "deploy.master.Master": "master",
        "deploy.worker.Worker": "worker",
        "CoarseGrainedExecutorBackend": "executor",
        "spark_watchdog": "watchdog",
        "airflow_wall.jobs": "driver",
        "SparkSubmit": "driver's java",
    }
    return next((kind for part, kind in kinds.items() if part in command), command.replace("\0", " ")[:100])


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until it holds, and return what it gives."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found
