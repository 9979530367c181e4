"""
The job: one unit of compute as a JSON document, and what it may know of the run it belongs to.

A job knows no Airflow. The same document runs in the worker or travels to a cluster.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_wall.connections import Connections


@dataclass(frozen=True)
class Slice:
    """
    The part of the data that one run is about. The same for every try, clear and backfill of that run.

    :param id: Name of the slice, safe in file names: the logical date (`20130701T000000Z`), else the partition key,
        else the run id.
    :param order: ISO 8601 UTC time that orders slices: the logical date, else when the run was due.
    """

    id: str
    order: str

    @property
    def number(self) -> int:
        """The slice as a 60-bit integer, for stores that number their transactions."""
        return int(hashlib.sha256(self.id.encode()).hexdigest()[:15], 16)


@dataclass(frozen=True)
class Run:
    """
    What a job, a check or a release may know of the run it belongs to.

    :param pipeline: The DAG's id.
    :param run_id: Airflow's run id.
    :param task_id: The task, e.g. `etl_domain_1.ingest`.
    :param try_number: 1 for the first try.
    :param slice: The part of the data this run is about.
    :param storage: Absolute path of the lake: tables, models, releases and our own state are under it.
    :param project: Absolute path that relative paths of connections are under.
    :param code: Absolute path of the pipeline's folder: where SQL files, check files and the user's modules are.
    """

    pipeline: str
    run_id: str
    task_id: str
    try_number: int
    slice: Slice
    storage: Path
    project: Path
    code: Path

    @property
    def state(self) -> Path:
        """Folder of our own state in the lake."""
        return self.storage / "_wall"

    def to_json(self) -> dict[str, Any]:
        """The run as JSON values."""
        return {**asdict(self), "storage": str(self.storage), "project": str(self.project), "code": str(self.code)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Run:
        """The run from what `to_json` gave."""
        paths = {name: Path(values[name]) for name in ("storage", "project", "code")}
        return cls(**{**values, **paths, "slice": Slice(**values["slice"])})


@dataclass(frozen=True)
class Job:
    """
    One unit of compute.

    :param kind: Name of the job in `airflow_wall.jobs.table.JOBS`, e.g. `ingest`.
    :param arguments: The keyword arguments of its function, as JSON values.
    :param run: The run it belongs to.
    :param connections: Ids of the Airflow connections it reads. Their values never stand in the document.
    :param environment: What it is to run in, as `airflow_wall.environments.backends` takes it; empty for the Python
        that would run it anyway.
    """

    kind: str
    arguments: Mapping[str, Any]
    run: Run
    connections: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The job as JSON values."""
        return {
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "run": self.run.to_json(),
            "connections": list(self.connections),
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """The job from what `to_json` gave."""
        return cls(
            values["kind"],
            values["arguments"],
            Run.from_json(values["run"]),
            tuple(values["connections"]),
            values.get("environment", {}),  # of a job that was written down before there were any
        )


@dataclass(frozen=True)
class Env:
    """
    What the function of a job is given besides its own arguments.

    :param run: The run it belongs to.
    :param connections: Gives an Airflow connection by id.
    :param fence: Raises where a later try of the task has begun; asked before each commit.
    """

    run: Run
    connections: Connections = field(repr=False)
    fence: Callable[[], None] = field(default=lambda: None, repr=False)


def safe_name(text: str) -> str:
    """`text` as a file name: letters, digits, `.`, `_`, `-`; a digest is added when something else had to go."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "x"
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
