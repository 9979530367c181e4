"""Every kind of job by name, and how one is run."""

from __future__ import annotations

import importlib
from typing import Any

from airflow_wall.connections import Connections
from airflow_wall.jobs.document import Env, Job
from airflow_wall.jobs.engines import spark_engine
from airflow_wall.jobs.fence import fenced

JOBS: dict[str, str] = {
    "check_new_data": "airflow_wall.jobs.check_new_data",
    "get_credentials": "airflow_wall.jobs.get_credentials",
    "ingest": "airflow_wall.jobs.ingest",
    "transform": "airflow_wall.jobs.transform",
    "retrain": "airflow_wall.jobs.retrain",
    "predict": "airflow_wall.jobs.predict",
    "check_integrity": "airflow_wall.jobs.check_integrity",
    "start_sender": "airflow_wall.jobs.release",
    "stage": "airflow_wall.jobs.release",
    "stop_sender": "airflow_wall.jobs.release",
}
"""Kind of job to the module whose function of that name does it; imported when one runs, because engines are heavy."""

ON_SPARK = frozenset(("transform", "predict"))
"""Kinds of jobs that Spark has a part in. On a cluster of Spark, one of its executors does any other as a whole."""


def run_job(job: Job, connections: Connections) -> dict[str, Any]:
    """
    Run a job and return its result, a small JSON object.

    It is run here, or on Spark where this process is told of one; but what reads a connection stays, with its secret.

    :raises WallError: whatever was wrong, said for the user.
    """
    spark = None if job.kind in ON_SPARK or job.connections else spark_engine(job.run)
    if spark is not None:
        with spark as engine:
            return engine.whole(job)
    function = getattr(importlib.import_module(JOBS[job.kind]), job.kind)
    with fenced(job.run) as fence:
        result: dict[str, Any] = function(Env(job.run, connections, fence), **job.arguments)
    return result
