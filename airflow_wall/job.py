"""
A job as a JSON document, and the facts about its run that it can use.

A job does not depend on Airflow. The same document runs in the worker or on a cluster.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_wall.connections.info import Connections
from airflow_wall.lake.lake import Lake

_LOGICAL_DATE = "%Y%m%dT%H%M%SZ"
"""Form of the id of a slice with a logical date."""


@dataclass(frozen=True)
class Slice:
    """
    The part of the data that one run processes. It is the same in every try, clear and backfill of that run.

    :param id: Name of the slice, safe in file names: the logical date (`20130701T000000Z`), else the partition key,
        else the run id.
    :param order: ISO 8601 UTC time that orders slices: the logical date, else the time when the run was due.
    :param date: The day of that time in the time zone of the pipeline, or that in the partition key, as an ISO date;
        empty if it is not known.
    """

    id: str
    order: str
    date: str = ""

    @property
    def microseconds(self) -> int:
        """Place of the slice in time: `order` in microseconds since 1970."""
        return round(datetime.fromisoformat(self.order).timestamp() * 1_000_000)

    @property
    def number(self) -> int:
        """The slice as a 60-bit integer, for stores with numbered transactions."""
        return int(hashlib.sha256(self.id.encode()).hexdigest()[:15], 16)


@dataclass(frozen=True)
class Run:
    """
    The run that a job, a check or a release belongs to.

    :param pipeline: The DAG's id.
    :param run_id: Airflow's run id.
    :param task_id: The task, e.g. `etl_domain_1.ingest`, with the index of a mapped one, e.g. `ingest.0`.
    :param try_number: 1 for the first try.
    :param slice: The part of the data that this run processes.
    :param storage: The lake with tables, models, releases and our own state; a path or address is also accepted.
    :param project: Absolute path that relative paths of connections are under.
    :param code: Absolute path of the pipeline's directory with SQL files, check files and the user's modules.
    :param map_index: Index of an instance of a mapped task; -1 for any other task.
    """

    pipeline: str
    run_id: str
    task_id: str
    try_number: int
    slice: Slice
    storage: Lake
    project: Path
    code: Path
    map_index: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "storage", Lake.of(self.storage))

    @property
    def task(self) -> str:
        """The task without the index of a mapped one."""
        return self.task_id if self.map_index < 0 else self.task_id.rpartition(".")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        return {**asdict(self), "storage": self.storage.address, "project": str(self.project), "code": str(self.code)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], connections: Connections | None = None) -> Run:
        """Return the run from the result of `to_json`. The lake finds its connection by `connections`."""
        paths = {name: Path(values[name]) for name in ("project", "code")}
        lake = Lake(values["storage"], connections)
        return cls(**{**values, **paths, "storage": lake, "slice": Slice(**values["slice"])})


@dataclass(frozen=True)
class TableRead:
    """
    A table that a task reads.

    :param key: The argument that names it, e.g. `inputs.raw`.
    :param table: Its name, or a pattern such as `silver/*`.
    :param verb: The purpose of reading it: `reads`, `checks` or `publishes`.
    :param external: True if its rows come from elsewhere or from an earlier run.
    :param checked: True if only rows that passed their checks are read, so that the task waits for these.
    :param checkers: Tasks that check it, for which the task does not wait.
    :param possible_checkers: Such tasks whose table is known only when they run. They count if they have checked it.
    """

    key: str
    table: str
    verb: str = "reads"
    external: bool = False
    checked: bool = False
    checkers: tuple[str, ...] = ()
    possible_checkers: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableOrder:
    """
    The tables that a task reads, and the tasks of its pipeline for which it does not wait.

    :param reads: The tables.
    :param others: Task to the table that it writes; None if it writes none, or one that is known only when it runs.
    :param after: Those of them that wait for this task.
    """

    reads: tuple[TableRead, ...]
    others: Mapping[str, str | None]
    after: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TableOrder:
        """Return the order from its fields as JSON values."""
        tuples = ("checkers", "possible_checkers")
        reads = (TableRead(**{**read, **{name: tuple(read[name]) for name in tuples}}) for read in values["reads"])
        return cls(tuple(reads), values["others"], tuple(values["after"]))


@dataclass(frozen=True)
class Job:
    """
    One unit of compute.

    :param kind: Name of the job in `airflow_wall.jobs.base.JOBS`, e.g. `ingest`.
    :param arguments: The keyword arguments of its function, as JSON values.
    :param run: The run it belongs to.
    :param connections: Ids of the Airflow connections it reads. Their values are never in the document.
    :param environment: The environment to run in, in the form of `airflow_wall.environments.backends`; empty for the
        current Python.
    :param order: The tables that it reads. Before it starts, they are compared with what other tasks have written. None
        if nothing is to be compared.
    """

    kind: str
    arguments: Mapping[str, Any]
    run: Run
    connections: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    order: TableOrder | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        return {
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "run": self.run.to_json(),
            "connections": list(self.connections),
            "environment": dict(self.environment),
            "order": None if self.order is None else asdict(self.order),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], connections: Connections | None = None) -> Job:
        """Return the job from the result of `to_json`. Its lake finds its connection by `connections`."""
        return cls(
            values["kind"],
            values["arguments"],
            Run.from_json(values["run"], connections),
            tuple(values["connections"]),
            values.get("environment", {}),  # documents of older versions have no environment
            None if values.get("order") is None else TableOrder.from_json(values["order"]),
        )


@dataclass(frozen=True)
class Env:
    """
    The context that the function of a job gets besides its own arguments.

    :param run: The run it belongs to.
    :param connections: Returns an Airflow connection by id.
    :param fence: Raises if a later try of the task has started. It is called before each commit.
    """

    run: Run
    connections: Connections = field(repr=False)
    fence: Callable[[], None] = field(default=lambda: None, repr=False)


def slice_id_of(date: datetime) -> str:
    """Return the id of the slice of a logical date, e.g. `20130701T000000Z`."""
    return date.astimezone(UTC).strftime(_LOGICAL_DATE)


def date_of_slice(slice_id: str) -> datetime | None:
    """Return the logical date in the id of a slice, in UTC; None for an id of another form."""
    try:
        return datetime.strptime(slice_id, _LOGICAL_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def safe_name(text: str) -> str:
    """Return `text` as a file name of letters, digits, `.`, `_` and `-`. Other characters are replaced by a digest."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "x"
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
