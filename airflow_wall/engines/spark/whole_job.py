"""Run a whole job on one executor of Spark, so that jobs which do not use Spark as their engine use the cluster too."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_wall.engines.duckdb.connection import LIMITS
from airflow_wall.engines.spark_request import VARIABLE
from airflow_wall.environments.base import NEEDS, Document, Log
from airflow_wall.environments.process import run_job_command
from airflow_wall.environments.tail import Tail
from airflow_wall.errors import Interrupted

WHOLE_JOB_CONF = {"spark.task.maxFailures": "1", "spark.speculation": "false"}
"""Spark's configuration for such a job: only Airflow retries it, and Spark does not."""

_EVERY = 0.5


@dataclass(frozen=True)
class WholeJob:
    """
    A job for an executor, which runs it in a separate process like a `local` cluster.

    The process ends with the executor.

    :param document: The job. It reads no connection, so no secret is sent.
    :param folder: Directory in the lake for its log.
    :param limits: Environment variables that limit its threads and memory.
    """

    document: Document
    folder: Path
    limits: Mapping[str, str]

    @property
    def log(self) -> Path:
        """The file with the job's log lines."""
        return self.folder / "log"

    def __call__(self) -> dict[str, Any]:
        """
        Run the job on this machine and return its result.

        :raises ModuleNotFoundError: this Python lacks packages that jobs need.
        :raises Interrupted: another executor has started the job before, or its process died.
        """
        _check_packages()
        try:
            (self.folder / "claim").touch(exist_ok=False)
        except FileExistsError:
            raise Interrupted("Spark lost the executor that ran this step") from None
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | dict(self.limits)
        with self.log.open("a", encoding="utf-8", buffering=1) as log:
            return run_job_command(
                [sys.executable, "-m", "airflow_wall.jobs"],
                self.document,
                {},
                lambda line: print(line, file=log),
                environment=environment,
                where="on an executor of Spark",
            )

    @contextlib.contextmanager
    def followed(self, log: Log) -> Iterator[None]:
        """Pass on the job's log lines while it runs on the executor, and the rest of them at the end."""
        tail, over = Tail(self.log, log), threading.Event()

        def follow() -> None:
            while not over.wait(_EVERY):
                tail.read()

        following = threading.Thread(target=follow, daemon=True)
        following.start()
        try:
            yield
        finally:
            over.set()
            following.join()
            tail.read()


def whole_job(document: Document, folder: Path) -> WholeJob:
    """
    Create the directory of a job, and return the job in the form in which it is sent to an executor.

    :param folder: A new directory in the lake.
    """
    folder.mkdir(parents=True)
    return WholeJob(document, folder, {name: os.environ[name] for name in LIMITS.values() if name in os.environ})


def _check_packages() -> None:
    for need in NEEDS:
        name = re.split(r"[^\w.-]", need, maxsplit=1)[0]
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise ModuleNotFoundError(f"there is no package `{name}`") from None
