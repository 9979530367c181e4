"""A whole job on one executor of Spark: of steps that Spark has no part in, the cluster has the work all the same."""

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

from airflow_wall.duck import LIMITS
from airflow_wall.environments.base import NEEDS, Document, Log
from airflow_wall.environments.process import run_job_command
from airflow_wall.environments.tail import Tail
from airflow_wall.errors import Interrupted
from airflow_wall.spark_request import VARIABLE

ALONE = {"spark.task.maxFailures": "1", "spark.speculation": "false"}
"""Spark's configuration of such a job: what begins it a second time is Airflow, by the next try, and not Spark."""

_EVERY = 0.5


@dataclass(frozen=True)
class WholeJob:
    """
    A job as an executor does it: in a process of its own, as a `local` cluster has it, that dies with the executor.

    :param document: The job. It reads no connection, so there is no secret on the way.
    :param folder: Folder in the lake for its log.
    :param limits: Variables that bound its threads and memory.
    """

    document: Document
    folder: Path
    limits: Mapping[str, str]

    @property
    def log(self) -> Path:
        """Where the job's lines are."""
        return self.folder / "log"

    def __call__(self) -> dict[str, Any]:
        """
        Do it, here, and return its result.

        :raises ModuleNotFoundError: this Python has not what jobs need.
        :raises Interrupted: it was begun by an executor before, or its process died.
        """
        _check_packages()
        try:
            (self.folder / "claim").touch(exist_ok=False)
        except FileExistsError:
            raise Interrupted("Spark lost the executor that was at this step") from None
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
        """Pass on the job's lines while it is done elsewhere, and at the end what is left of them."""
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
    The job as it is sent to an executor.

    :param folder: A new one, in the lake.
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
