"""What a kind of cluster can do, and what all of ours have in common."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from airflow_wall.environments.backends import ENVIRONMENTS
from airflow_wall.errors import ClusterError
from airflow_wall.text.durations import parse_duration

Document = Mapping[str, Any]
Log = Callable[[str], None]


class State(StrEnum):
    """How a cluster is, whatever its cloud calls it. Each backend has one table from its own words to these."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """It is on its way out, and nothing can keep it."""
    BROKEN = "broken"
    """It is there, may cost, and takes no job."""


class JobState(StrEnum):
    """How a job on a cluster is, whatever its cloud calls it."""

    RUNNING = "running"
    """It waits for its turn, or is at work, or is being cancelled."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Owner:
    """
    Whose cluster it is.

    :param deployment: Name of the Airflow, among those that share an account of the cloud.
    :param pipeline: The DAG's id.
    :param run_id: Airflow's run id.
    """

    deployment: str
    pipeline: str
    run_id: str


class Event(StrEnum):
    """What a call of a cluster may have to wait long for."""

    STARTED = "started"
    """The cluster takes jobs."""
    GONE = "gone"
    DONE = "done"
    """A job has ended."""


@dataclass(frozen=True)
class Awaited:
    """
    What a call waits for, said so that another process can wait for it.

    :param cluster_id: What the cloud knows the cluster by.
    :param job_id: The job, of `Event.DONE`.
    :param note: JSON values that the same call finds in `Clock.note` when it is made again after the wait.
    :param most: After how long to make the call again though nothing has come.
    """

    event: Event
    cluster_id: str
    job_id: str | None = None
    note: Document = field(default_factory=dict)
    most: timedelta = timedelta(hours=1)


class HandedOver(BaseException):
    """
    A call ends here: something else waits for what it needs, and then the same call is made again.

    Not an `Exception`: it is no fault, and nothing that handles faults may take it for one.
    """

    def __init__(self, awaited: Awaited) -> None:
        super().__init__(awaited)
        self.awaited = awaited


class Clock:
    """
    The time, and waiting for it. Tests have one that does not wait.

    `note` is what a call left for itself before it was handed over; empty when it is made for the first time.
    """

    note: Document = MappingProxyType({})

    def now(self) -> datetime:
        """What time it is, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait(self, seconds: float, awaited: Awaited) -> None:  # noqa: ARG002
        """
        Wait before the next look at something that takes minutes or hours.

        :raises HandedOver: something else waits.
        """
        self.sleep(seconds)


class HandingOver(Clock):
    """
    A clock of who has nothing to wait in.

    :param clock: The time.
    :param note: What the call left for itself, if it was handed over before.
    """

    def __init__(self, clock: Clock, note: Document) -> None:
        self.clock = clock
        self.note = note

    def now(self) -> datetime:
        """What time it is, in UTC."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait: it is for a moment only."""
        self.clock.sleep(seconds)

    def wait(self, seconds: float, awaited: Awaited) -> None:  # noqa: ARG002
        """Hand it over."""
        raise HandedOver(awaited)


@dataclass(frozen=True)
class Site:
    """
    Where clusters are used from.

    :param state: Folder of our own state in the lake.
    :param owner: Whose clusters they are.
    :param client: Opens the client of a kind of cluster, given its configuration.
    """

    state: Path
    owner: Owner
    client: Callable[[str, Mapping[str, Any]], Any] = field(repr=False)
    clock: Clock = field(default_factory=Clock, repr=False)


@dataclass(frozen=True)
class Found:
    """
    One cluster of ours, as its cloud lists it.

    :param name: The name that was computed from its run.
    :param id: What the cloud knows it by.
    :param owner: Whose it is; None where the cloud's answer does not say.
    :param lease: Until when it may live, whatever its run does.
    :param nodes: How many machines it has.
    """

    name: str
    id: str
    state: State
    owner: Owner | None
    created: datetime
    lease: datetime
    nodes: int


@dataclass(frozen=True)
class Deleted:
    """
    What stopping by name came to.

    :param ended: Ids of the clusters that were there and are ending.
    :param node_hours: Machines times hours that they were there; None where a cluster costs nothing.
    """

    ended: tuple[str, ...] = ()
    node_hours: float | None = None


class Cluster(Protocol):
    """
    One cluster, known by a name that is computed from the run: who stops it needs no message from who started it.

    Every call may be repeated, by several processes at once, and may be killed between the cloud's deed and its answer.
    """

    name: str

    environments: Collection[str]
    """Keys of a job's `environment` that it honours; a job with another one is not given to it."""

    def ensure(self) -> dict[str, Any]:
        """
        Have the cluster: adopt the one of this name, or create it, and wait until it accepts jobs.

        :return: What the UI shows of it, JSON values.
        :raises ClusterError: the cloud refuses it, and says why.
        :raises Interrupted: it could not be had now; later it may.
        """

    def state(self) -> State | None:
        """How it is; None where there is none of this name."""

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """
        Run a job document to its end and return its result. A job of this task that still runs is not begun twice.

        :param connections: The connections the job may read, by id.
        :param log: Is given each log line of the job.
        :raises ClusterError: the cluster is not running.
        :raises Interrupted: the job's process died.
        """

    def delete(self) -> Deleted:
        """
        End everything of this name.

        :raises Interrupted: not everything is known to end; call it again.
        """


@runtime_checkable
class Shown(Protocol):
    """A cluster that has pages for people to look at."""

    def links(self, job_id: str | None = None) -> Mapping[str, str]:
        """Its pages, `console` and `logs`, as far as they are known; of the cluster or of a job."""


@runtime_checkable
class RemoteCluster(Cluster, Shown, Protocol):
    """A cluster that works on without this process, so that another can wait for it (`Clock.wait`)."""

    def pending(self, awaited: Awaited) -> bool:
        """
        Whether what a call waits for has not come yet. It reads the cloud by the same tables as the call itself.

        :raises Interrupted: the cloud does not answer now.
        :raises WallError: something is wrong that the call meets too, when it is made again.
        """

    def cancel(self, job_id: str) -> None:
        """
        End a job. Nothing happens where it has ended.

        :raises Interrupted: the cloud does not answer now.
        """


class Fleet(Protocol):
    """All clusters of ours of one kind, in one place of its cloud."""

    def list(self) -> Sequence[Found]:
        """Those that are there, of every deployment, whatever their state; not those that are gone."""

    def end(self, found: Found) -> None:
        """Have one end. Nothing happens where it is gone already."""


class Backend(Protocol):
    """A kind of cluster: a module, or any object, with these two functions."""

    def open_cluster(self, name: str, config: Mapping[str, Any], site: Site) -> Cluster:
        """Return the cluster of that name, whether it is there or not; nothing is asked of the cloud yet."""

    def open_fleet(self, config: Mapping[str, Any], site: Site) -> Fleet:
        """Return all of that kind that are where the configuration says."""


def cluster_name(owner: Owner, task_id: str) -> str:
    """The name of the cluster that a task of a run starts: letters, digits and `-`, at most 51, as clouds ask."""
    digest = hashlib.sha256("\n".join((owner.deployment, owner.pipeline, owner.run_id, task_id)).encode()).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", owner.pipeline.lower()).strip("-")[:32].strip("-") or "run"
    return f"wall-{readable}-{digest[:12]}"


def check_environment(cluster: Cluster, kind: str, job: Document) -> None:
    """
    See that a cluster can run a job in what the job asks for.

    :param kind: The cluster's `type`.
    :raises ClusterError: it cannot; says by which key.
    """
    known = getattr(cluster, "environments", ())  # clusters of other packages may be older than the keys
    for key in ENVIRONMENTS:
        if job["environment"].get(key) and key not in known:
            raise ClusterError(
                f"`{key}`: a job on a cluster of type `{kind}` runs in what is installed there",
                hint=f"remove `{key}` from this step and install what it needs on the cluster, as "
                "docs/guides/clusters.md shows; or remove `cluster`",
            )


def not_running(name: str) -> ClusterError:
    """The error of a job for a cluster that is not there."""
    return ClusterError(
        f"cluster `{name}` is not running", hint="clear the `start_cluster` task of this run, with the tasks after it"
    )


def duration_of(config: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    """A length of time of a configuration, be it one already or text such as `30m`."""
    value = config.get(key)
    if value is None:
        return default
    found = value if isinstance(value, timedelta) else parse_duration(str(value))
    if found is None:
        raise ValueError(f"`{key}` is no duration: `{value}`")
    return found
