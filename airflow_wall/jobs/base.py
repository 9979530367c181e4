"""Run a job by the name of its kind."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

from airflow_wall.connections.info import Connections
from airflow_wall.engines.spark.selection import spark_engine
from airflow_wall.errors import WallError
from airflow_wall.job import Env, Job
from airflow_wall.registry import LazyRegistry, modules_of
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import ALL, TableStore
from airflow_wall.storage.fence import fenced
from airflow_wall.storage.owners import Owners
from airflow_wall.storage.run_history import RunHistory
from airflow_wall.storage.table_order import check_order
from airflow_wall.text.table_names import is_pattern

JOBS: LazyRegistry[Callable[..., dict[str, Any]]] = LazyRegistry(
    {name: f"airflow_wall.jobs.{name}:{name}" for name in modules_of("airflow_wall.jobs")}, "airflow_wall.jobs"
)
"""
Kind of job -> its function. Kind, module of `airflow_wall.jobs` and function have the same name.

A module with `USES_SPARK = True` uses Spark as its engine. On a Spark cluster, each other job runs as a whole on one
executor.
"""


def run_job(job: Job, connections: Connections) -> dict[str, Any]:
    """
    Run a job and return its result, a small JSON object. The history of the lake records both.

    The job runs in this process, or on the Spark cluster that this process is configured for. A job that reads a
    connection always runs here, so that the secret does not leave the process.

    :raises WallError: the job failed; the message is written for the user.
    """
    history, began = RunHistory(job.run.storage), time.monotonic()
    history.start(job)
    data = _versions_read(job)
    try:
        result = _run(job, connections)
    except Exception as error:
        history.fail(job, time.monotonic() - began, error)
        raise
    history.succeed(job, time.monotonic() - began, {**result, **_state_of_table(job, result), "data": data})
    return result


def _versions_read(job: Job) -> dict[str, int]:
    """Return table -> version of the tables that a job reads by name, for the history."""
    inputs = job.arguments.get("inputs")
    names = [*(inputs.values() if isinstance(inputs, Mapping) else ()), job.arguments.get("table")]
    tables, versions = open_tables(job.run.storage), {}
    for name in names:
        if isinstance(name, str) and not is_pattern(name):
            with contextlib.suppress(WallError):
                versions[name] = tables.version(name)
    return versions


def _state_of_table(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return rows, bytes and newest slice of the table that a job has written, for the history."""
    table = job.arguments.get("target")
    if not isinstance(table, str) or result.get("table") != table:
        return {}
    try:
        summary = open_tables(job.run.storage).summary(table)
    except WallError:  # no row has come yet
        return {}
    newest = max(summary.rows.keys() - {ALL}, default=None)
    return {"table_rows": sum(summary.rows.values()), "table_bytes": summary.size, "newest": newest}


def _run(job: Job, connections: Connections) -> dict[str, Any]:
    function = JOBS[job.kind]
    uses_spark = getattr(inspect.getmodule(function), "USES_SPARK", False)
    spark = None if uses_spark or job.connections else spark_engine(job.run)
    if spark is not None:
        with spark as engine:
            return engine.run_whole_job(job)
    if job.order is not None:
        check_order(job.run, job.order)
    with fenced(job.run) as fence:
        return function(Env(job.run, connections, fence), **job.arguments)


def open_target(env: Env, table: str, *, share: bool) -> tuple[TableStore, str | None]:
    """
    Return the tables of a lake for a task that writes one of them, and the writer to name in its slices.

    :param share: True if the step says `share: true`.
    :raises DataError: another task owns the table.
    """
    claim = Owners(env.run.storage, open_tables(env.run.storage)).claim(table, env.run, share=share)
    return open_tables(env.run.storage, claim.fence(env.fence), claim.note), claim.writer
