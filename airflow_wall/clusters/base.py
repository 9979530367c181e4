"""The interface of a kind of cluster, and the types that all kinds share."""

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
from airflow_wall.lake.lake import Lake
from airflow_wall.text.durations import parse_duration

Document = Mapping[str, Any]
Log = Callable[[str], None]


class ClusterState(StrEnum):
    """The state of a cluster. Each backend has one table that maps the states of its cloud to these."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """The cluster ends, and nothing can stop that."""
    BROKEN = "broken"
    """The cluster exists and may cost money, but accepts no jobs."""


class JobState(StrEnum):
    """The state of a job on a cluster. Each backend maps the states of its cloud to these."""

    RUNNING = "running"
    """The job is queued, runs, or is being cancelled."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Owner:
    """
    The run that a cluster belongs to.

    :param deployment: Name of the Airflow deployment; unique among those that share a cloud account.
    :param pipeline: The DAG's id.
    :param run_id: Airflow's run id.
    """

    deployment: str
    pipeline: str
    run_id: str


class Event(StrEnum):
    """An event that a call of a cluster may have to wait for for a long time."""

    STARTED = "started"
    """The cluster accepts jobs."""
    GONE = "gone"
    DONE = "done"
    """A job has ended."""


@dataclass(frozen=True)
class Awaited:
    """
    The event that a call waits for, described so that another process can wait instead.

    :param cluster_id: The cluster's id in the cloud.
    :param job_id: The job, for `Event.DONE`.
    :param note: JSON values that the same call reads from `Clock.note` when it is repeated after the wait.
    :param most: Longest wait; after it the call is repeated even if the event has not happened.
    """

    event: Event
    cluster_id: str
    job_id: str | None = None
    note: Document = field(default_factory=dict)
    most: timedelta = timedelta(hours=1)


class HandedOver(BaseException):
    """
    Raised to end a call while another process waits for the event it needs. The call is then repeated.

    Not an `Exception`: it is not an error, and code that handles errors must not catch it.
    """

    def __init__(self, awaited: Awaited) -> None:
        super().__init__(awaited)
        self.awaited = awaited


class Clock:
    """
    The current time, and waiting. Tests use one that does not wait.

    `note` holds the values that a call saved before it was handed over; it is empty at the first call.
    """

    note: Document = MappingProxyType({})

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        time.sleep(seconds)

    def wait(self, seconds: float, awaited: Awaited) -> None:  # noqa: ARG002
        """
        Wait before the next check of something that takes minutes or hours.

        :raises HandedOver: another process waits instead.
        """
        self.sleep(seconds)


class HandingOver(Clock):
    """
    A clock for a process that must not wait long: `wait` raises `HandedOver`.

    :param clock: The clock that this one wraps.
    :param note: The values that the call saved, if it was handed over before.
    """

    def __init__(self, clock: Clock, note: Document) -> None:
        self.clock = clock
        self.note = note

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds. Short waits are not handed over."""
        self.clock.sleep(seconds)

    def wait(self, seconds: float, awaited: Awaited) -> None:  # noqa: ARG002
        """Hand the wait over to another process."""
        raise HandedOver(awaited)


@dataclass(frozen=True)
class ClusterSite:
    """
    The deployment and lake from which clusters are used.

    :param lake: The lake, which holds the documents of clusters.
    :param owner: The run that the clusters belong to.
    :param client: Opens the client of a kind of cluster from its configuration.
    """

    lake: Lake
    owner: Owner
    client: Callable[[str, Mapping[str, Any]], Any] = field(repr=False)
    clock: Clock = field(default_factory=Clock, repr=False)

    @property
    def state(self) -> Path:
        """Directory of the state of clusters that belong to one machine, or to machines that mount one lake."""
        return self.lake.local_state()

    @property
    def mounted_state(self) -> Path:
        """
        Directory of our state that worker and cluster both mount.

        :raises ClusterError: the lake is in a bucket.
        """
        if self.lake.folder is None:
            raise ClusterError(
                f"`cluster`: the lake `{self.lake}` is in a bucket, and jobs reach a cluster in a cloud by a folder",
                hint="set `storage` to a folder that worker and cluster mount, or use a cluster of type `local`",
            )
        return self.state


@dataclass(frozen=True)
class FoundCluster:
    """
    A cluster that airflow-wall started, as its cloud lists it.

    :param name: The name, computed from its run.
    :param id: The cluster's id in the cloud.
    :param owner: The run it belongs to; None if the cloud's answer does not name it.
    :param lease: End of its lease: it may not live longer, even if its run goes on.
    :param nodes: Number of machines.
    """

    name: str
    id: str
    state: ClusterState
    owner: Owner | None
    created: datetime
    lease: datetime
    nodes: int


@dataclass(frozen=True)
class Deleted:
    """
    The result of stopping the clusters with one name.

    :param ended: Ids of the clusters that existed and now end.
    :param node_hours: Machines times the hours they existed; None if a cluster costs nothing.
    """

    ended: tuple[str, ...] = ()
    node_hours: float | None = None


class Cluster(Protocol):
    """
    One cluster, identified by a name computed from the run, so a task can stop it without a message from its starter.

    Every call may be repeated, even by several processes at once. A call may be killed after the cloud has acted and
    before its answer arrives.
    """

    name: str

    environments: Collection[str]
    """Keys of a job's `environment` that this cluster supports; it gets no job with another key."""

    def ensure(self) -> dict[str, Any]:
        """
        Adopt the cluster with this name, or create it, and wait until it accepts jobs.

        :return: JSON values that the UI shows.
        :raises ClusterError: the cloud refuses; the message holds its reason.
        :raises Interrupted: the cluster cannot be created now; a retry may succeed.
        """

    def state(self) -> ClusterState | None:
        """Return the cluster's state; None if no cluster has this name."""

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """
        Run a job document to its end and return its result. A job of this task that still runs is not started again.

        :param connections: The connections the job may read, by id.
        :param log: Called with each log line of the job.
        :raises ClusterError: the cluster is not running.
        :raises Interrupted: the job's process died.
        """

    def delete(self) -> Deleted:
        """
        End every cluster with this name.

        :raises Interrupted: some may not have ended; call it again.
        """


@runtime_checkable
class Shown(Protocol):
    """A cluster that has web pages."""

    def links(self, job_id: str | None = None) -> Mapping[str, str]:
        """Return the known addresses of the pages `console` and `logs` of the cluster or of a job."""


@runtime_checkable
class RemoteCluster(Cluster, Shown, Protocol):
    """A cluster that works on without this process, so another process can wait for it (`Clock.wait`)."""

    def pending(self, awaited: Awaited) -> bool:
        """
        Return True if the awaited event has not happened yet. It uses the same state tables as the call itself.

        :raises Interrupted: the cloud does not answer now.
        :raises WallError: an error that the call also raises when it is repeated.
        """

    def cancel(self, job_id: str) -> None:
        """
        Cancel a job. Do nothing if it has ended.

        :raises Interrupted: the cloud does not answer now.
        """


class Fleet(Protocol):
    """All clusters of one kind that airflow-wall started, in one region or lake."""

    def list(self) -> Sequence[FoundCluster]:
        """Return the clusters that exist, of every deployment and in any state."""

    def end(self, cluster: FoundCluster) -> None:
        """End a cluster. Do nothing if it no longer exists."""


class Backend(Protocol):
    """
    A kind of cluster: a module, or any object, with these two functions.

    One of this package that calls `ClusterSite.client` names in `EXTRA` the extra that the client needs.
    """

    def open_cluster(self, name: str, config: Mapping[str, Any], site: ClusterSite) -> Cluster:
        """Return the cluster with that name, even if it does not exist; the cloud is not called yet."""

    def open_fleet(self, config: Mapping[str, Any], site: ClusterSite) -> Fleet:
        """Return all clusters of that kind in the region or lake that the configuration names."""


def cluster_name(owner: Owner, task_id: str) -> str:
    """Return the name of the cluster that a task starts: at most 51 letters, digits and `-`, as clouds require."""
    digest = hashlib.sha256("\n".join((owner.deployment, owner.pipeline, owner.run_id, task_id)).encode()).hexdigest()
    readable = re.sub(r"[^a-z0-9]+", "-", owner.pipeline.lower()).strip("-")[:32].strip("-") or "run"
    return f"wall-{readable}-{digest[:12]}"


def check_environment(cluster: Cluster, kind: str, job: Document) -> None:
    """
    Check that a cluster supports the environment that a job asks for.

    :param kind: The cluster's `type`.
    :raises ClusterError: it does not; the message names the key.
    """
    supported = getattr(cluster, "environments", ())  # a cluster of another package may predate the attribute
    for key in ENVIRONMENTS:
        if job["environment"].get(key) and key not in supported:
            raise ClusterError(
                f"`{key}`: not supported on a cluster of type `{kind}`, whose jobs run in the Python installed there",
                hint=f"remove `{key}` from this step and install its packages on the cluster, as "
                "docs/guides/clusters.md shows; or remove `cluster` from this step",
            )


def not_running(name: str) -> ClusterError:
    """Return the error for a job whose cluster does not run."""
    return ClusterError(
        f"cluster `{name}` is not running", hint="clear the `start_cluster` task of this run, with the tasks after it"
    )


def duration_of(config: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    """Return the duration under a key of a configuration, given as a `timedelta` or as text such as `30m`."""
    value = config.get(key)
    if value is None:
        return default
    duration = value if isinstance(value, timedelta) else parse_duration(str(value))
    if duration is None:
        raise ValueError(f"`{key}` must be a duration such as `30m`, got `{value}`")
    return duration


# Former names. Installed packages with their own kinds of cluster may import these.
Found = FoundCluster
Site = ClusterSite
State = ClusterState
