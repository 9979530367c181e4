"""
The `emr` cluster: Amazon EMR on EC2.

EMR has neither unique names nor tokens that make a creation idempotent, and its list may not show a new cluster yet. So
a run starts its cluster in these steps:

* Before a request, a note is written to the lake. A try that finds such a note waits for the list before it creates
  another cluster.
* After every creation the oldest cluster with the name stays, and the others are ended.
* The lake records once which cluster the run uses.

The reaper ends a cluster that is still left over, and EMR itself ends it when it is idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_wall.clusters.base import (
    Awaited,
    ClusterSite,
    ClusterState,
    Deleted,
    Document,
    Event,
    FoundCluster,
    JobState,
    Log,
    not_running,
)
from airflow_wall.clusters.cloud import Call, CloudError, CloudFault, check_deployment, error_context, ignore_faults
from airflow_wall.clusters.cluster_claim import Pin
from airflow_wall.clusters.cost import Budget, node_hours
from airflow_wall.clusters.emr_request import PREFIX, lease_of, owner_of, request_of
from airflow_wall.clusters.remote import JobView, Remote, parcel_of, remove_jobs
from airflow_wall.errors import Interrupted

EXTRA = "amazon"
"""The extra of airflow-wall with the client."""

STATES: dict[str, ClusterState | None] = {
    "STARTING": ClusterState.STARTING,
    "BOOTSTRAPPING": ClusterState.STARTING,
    "RUNNING": ClusterState.RUNNING,
    "WAITING": ClusterState.RUNNING,
    "TERMINATING": ClusterState.STOPPING,
    "TERMINATED": None,
    "TERMINATED_WITH_ERRORS": None,
}
"""Our cluster state by EMR's; None: the cluster has ended."""

JOB_STATES = {
    "PENDING": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,
    "COMPLETED": JobState.SUCCEEDED,
    "CANCELLED": JobState.CANCELLED,
    "FAILED": JobState.FAILED,
    "INTERRUPTED": JobState.FAILED,
}
"""Our job state by EMR's state of a step."""

ALIVE = tuple(word for word, state in STATES.items() if state in (ClusterState.STARTING, ClusterState.RUNNING))
"""EMR's states of clusters that have not been ended."""

POLL = 10.0
"""Seconds between two checks of a cluster that starts."""

SETTLE = timedelta(seconds=90)
"""Longest time until a new cluster appears in EMR's list."""

_HOPELESS = ("VALIDATION_ERROR", "BOOTSTRAP_FAILURE")
"""EMR's reasons for the end of a cluster that would end the next one too."""


@dataclass(frozen=True, order=True)
class _Member:
    """A cluster with our name; the oldest sorts first."""

    created: datetime
    id: str


class EmrCluster:
    """
    The EMR clusters with one name, of which the run uses one.

    :param name: The clusters' name.
    :param config: The `cluster` block of the YAML.
    """

    environments = ("python",)

    def __init__(self, name: str, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.call: Call = site.client("emr", config)
        self.pin = Pin(site.mounted_state / "clusters" / f"{name}.json")
        self.jobs = site.mounted_state / "jobs" / name
        self.watched: Budget | None = None

    # --- starting

    def ensure(self) -> dict[str, Any]:
        """Return a running cluster: the one chosen for the run, else the oldest with this name, else create one."""
        check_deployment(self.site)
        with error_context(self.name, self.config, "start cluster"):
            chosen = self._awaited_id() or self._pinned_id() or self._adopt_oldest() or self._create()
            self._end_others(chosen)
            self._wait_for(chosen)
            self._end_others(chosen)  # again, for clusters that were listed late
        return {"type": "emr", "name": self.name, "id": chosen, "region": self.config["region"]}

    def _awaited_id(self) -> str | None:
        """
        Return the cluster this call has waited for, even if it has ended.

        Its end must be reported, because the next cluster would end the same way.
        """
        noted: str | None = self.site.clock.note.get("id")
        return noted if noted == self.pin.id else None

    def _pinned_id(self) -> str | None:
        cluster_id = self.pin.id
        return cluster_id if cluster_id is not None and self._is_alive(cluster_id) else None

    def _adopt_oldest(self) -> str | None:
        members = self._members()
        # An open request: an earlier try requested a cluster and was killed before it knew its id.
        while not members and self._request_is_open():
            self.site.clock.sleep(POLL)
            members = self._members()
        return self.pin.decide(min(members).id, self._is_alive) if members else None

    def _create(self) -> str:
        self.pin.ask(self.site.clock.now())
        cluster_id: str = self.call("run_job_flow", **request_of(self.name, self.config, self.site.owner))["JobFlowId"]
        members = [
            *self._members(),
            _Member(self._describe(cluster_id)["Status"]["Timeline"]["CreationDateTime"], cluster_id),
        ]
        return self.pin.decide(min(members).id, self._is_alive)

    def _request_is_open(self) -> bool:
        asked = self.pin.asked
        return asked is not None and self.site.clock.now() < asked + SETTLE

    def _end_others(self, chosen: str) -> None:
        for member in self._members():
            if member.id != chosen:
                _end(self.call, member.id)

    def _wait_for(self, cluster_id: str) -> None:
        while True:
            status = self._describe(cluster_id)["Status"]
            state = STATES[status["State"]]
            if state is ClusterState.RUNNING:
                return
            if state is not ClusterState.STARTING:
                raise self._end_error(cluster_id, status)
            self.site.clock.wait(POLL, Awaited(Event.STARTED, cluster_id, note={"id": cluster_id}))

    def _end_error(self, cluster_id: str, status: Mapping[str, Any]) -> Exception:
        reason = status.get("StateChangeReason") or {}
        why = f"cluster {cluster_id} has ended: {reason.get('Message') or reason.get('Code') or status['State']}"
        return CloudError(CloudFault.REFUSED if reason.get("Code") in _HOPELESS else CloudFault.LATER, why)

    # --- reading the state

    def _members(self) -> list[_Member]:
        """Return the listed clusters with our name that have not been ended."""
        return [
            _Member(cluster["Status"]["Timeline"]["CreationDateTime"], cluster["Id"])
            for cluster in _list_clusters(self.call)
            if cluster["Name"] == self.name
        ]

    def _describe(self, cluster_id: str) -> dict[str, Any]:
        cluster: dict[str, Any] = self.call("describe_cluster", ClusterId=cluster_id)["Cluster"]
        return cluster

    def _is_alive(self, cluster_id: str) -> bool:
        """Return True if the cluster with this id has our name and runs. An id from the lake may be any id."""
        try:
            cluster = self._describe(cluster_id)
            return cluster["Name"] == self.name and cluster["Status"]["State"] in ALIVE
        except CloudError as error:
            if error.fault in (CloudFault.MISSING, CloudFault.REFUSED):
                return False
            raise

    def state(self) -> ClusterState | None:
        """Return the state of the cluster chosen for the run, else of the oldest with this name."""
        with error_context(self.name, self.config, "describe cluster"):
            cluster_id = self._current_id()
            return None if cluster_id is None else STATES[self._describe(cluster_id)["Status"]["State"]]

    def _current_id(self) -> str | None:
        pinned = self._pinned_id()
        if pinned is not None:
            return pinned
        members = self._members()
        return min(members).id if members else None

    # --- working

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:  # noqa: ARG002
        """Run a job as a step of the cluster."""
        with error_context(self.name, self.config, "run a job on cluster"):
            used = self._current_id()
            if used is None:
                raise not_running(self.name)
            self._wait_for(used)
            guard = self._budget(used).check
            steps = self._steps(used, job["environment"].get("python"))
            return Remote(steps, self.name, used, self.jobs, self.site.clock, guard).run(job, log)

    def _steps(self, cluster_id: str, python: str | None = None) -> _Steps:
        return _Steps(self.call, cluster_id, python or self.config.get("python") or "python3")

    def _budget(self, cluster_id: str) -> Budget:
        return Budget(self.name, self.config, self.site.clock, lambda: self._hours([cluster_id]))

    def _hours(self, cluster_ids: Sequence[str]) -> float:
        now = self.site.clock.now()
        return sum(node_hours(_spans(self.call, cluster_id), now) for cluster_id in cluster_ids)

    # --- waiting

    def pending(self, awaited: Awaited) -> bool:
        """Return True if the cluster still starts or the job still runs."""
        with error_context(self.name, self.config, "describe cluster"):
            if awaited.job_id is None:
                return STATES[self._describe(awaited.cluster_id)["Status"]["State"]] is ClusterState.STARTING
            self.watched = self.watched or self._budget(awaited.cluster_id)
            self.watched.check()
            return self._steps(awaited.cluster_id).look(awaited.job_id).state is JobState.RUNNING

    def cancel(self, job_id: str) -> None:
        """Cancel the step of a job."""
        with error_context(self.name, self.config, "cancel a job on cluster"):
            used = self._current_id()
            if used is not None:
                self._steps(used).cancel(job_id)

    def links(self, job_id: str | None = None) -> Mapping[str, str]:  # noqa: ARG002  the console has no page of a step
        """Return the pages of the cluster and of its log folder in S3 in the AWS console."""
        region, cluster_id = self.config["region"], self.pin.id
        if cluster_id is None:
            return {}
        console = f"https://{region}.console.aws.amazon.com"
        links = {"console": f"{console}/emr/home?region={region}#/clusterDetails/{quote(cluster_id)}"}
        bucket, _, prefix = (self.config.get("log_uri") or "").removeprefix("s3://").partition("/")
        if bucket:
            folder = quote(f"{prefix.rstrip('/')}/{cluster_id}/".lstrip("/"))
            links["logs"] = f"{console}/s3/buckets/{bucket}?region={region}&prefix={folder}"
        return links

    # --- stopping

    def delete(self) -> Deleted:
        """End all clusters with the name, and wait until they end."""
        with error_context(self.name, self.config, "stop cluster"):
            ended: list[str] = []
            while running := self._ids_to_end(patient=not ended):
                for cluster_id in running:
                    _end(self.call, cluster_id)
                unended = [cluster_id for cluster_id in running if self._is_alive(cluster_id)]
                if unended:
                    raise Interrupted(f"cluster `{self.name}`: EMR has not begun to end {', '.join(unended)}")
                ended += [cluster_id for cluster_id in running if cluster_id not in ended]
            hours = self._hours(ended) if ended else None
        self.pin.remove()
        remove_jobs(self.jobs, self.site)
        return Deleted(tuple(ended), hours)

    def _ids_to_end(self, *, patient: bool) -> list[str]:
        running = {member.id for member in self._members() if self._is_alive(member.id)}
        pinned = self._pinned_id()
        if pinned is not None:
            running.add(pinned)
        while patient and not running and self._request_is_open():
            self.site.clock.sleep(POLL)
            running = {member.id for member in self._members()}
        return sorted(running)


class EmrFleet:
    """All clusters that airflow-wall started in one region of one account."""

    def __init__(self, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.call: Call = site.client("emr", config)
        self.config = config

    def list(self) -> Sequence[FoundCluster]:
        """Return the clusters with our tags that have not been ended."""
        with error_context("wall-*", self.config, "list clusters"):
            return list(self._clusters())

    def _clusters(self) -> Iterator[FoundCluster]:
        for listed in _list_clusters(self.call):
            if not listed["Name"].startswith("wall-"):
                continue
            described = self.call("describe_cluster", ClusterId=listed["Id"])["Cluster"]
            tags = described.get("Tags") or []
            state = STATES[described["Status"]["State"]]
            if state is None or not any(tag["Key"] == f"{PREFIX}name" for tag in tags):
                continue
            created = described["Status"]["Timeline"]["CreationDateTime"]
            spans = _spans(self.call, listed["Id"])
            yield FoundCluster(
                name=listed["Name"],
                id=listed["Id"],
                state=state,
                owner=owner_of(tags),
                created=created,
                lease=created + lease_of(tags),
                nodes=sum(end is None for _, end in spans),
            )

    def end(self, cluster: FoundCluster) -> None:
        """Terminate a cluster."""
        with error_context(cluster.name, self.config, "stop cluster"):
            _end(self.call, cluster.id)


class _Steps:
    """The jobs of one cluster: EMR steps whose name is the job's id."""

    def __init__(self, call: Call, cluster_id: str, python: str) -> None:
        self.call = call
        self.cluster_id = cluster_id
        self.python = python

    def submit(self, job_id: str, folder: Path) -> None:
        if self._steps_named(job_id):
            return
        program = [self.python, str(parcel_of(folder)), "--folder", str(folder)]
        step = {
            "Name": job_id,
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": program},
        }
        self.call("add_job_flow_steps", JobFlowId=self.cluster_id, Steps=[step])

    def look(self, job_id: str) -> JobView:
        statuses = [step["Status"] for step in self._steps_named(job_id)]
        views = [JobView(JOB_STATES[status["State"]], _failure_reason(status)) for status in statuses]
        for state in (JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            for view in views:
                if view.state is state:
                    return view
        return JobView(None)

    def cancel(self, job_id: str) -> None:
        ids = [
            step["Id"] for step in self._steps_named(job_id) if JOB_STATES[step["Status"]["State"]] is JobState.RUNNING
        ]
        if ids:
            how = "TERMINATE_PROCESS"
            self.call("cancel_steps", ClusterId=self.cluster_id, StepIds=ids, StepCancellationOption=how)

    def _steps_named(self, job_id: str) -> list[dict[str, Any]]:
        steps = _pages(self.call, "list_steps", "Steps", ClusterId=self.cluster_id)
        return [step for step in steps if step["Name"] == job_id]


def _failure_reason(status: Mapping[str, Any]) -> str:
    failure = status.get("FailureDetails") or {}
    change = status.get("StateChangeReason") or {}
    return failure.get("Message") or failure.get("Reason") or change.get("Message") or ""


def _list_clusters(call: Call) -> Iterator[dict[str, Any]]:
    return _pages(call, "list_clusters", "Clusters", ClusterStates=list(ALIVE))


def _spans(call: Call, cluster_id: str) -> list[tuple[datetime, datetime | None]]:
    """Return the start and end of each machine of a cluster; the end is None while it runs."""
    machines = _pages(call, "list_instances", "Instances", ClusterId=cluster_id)
    times = [machine["Status"]["Timeline"] for machine in machines]
    return [(time["CreationDateTime"], time.get("EndDateTime")) for time in times]


def _pages(call: Call, operation: str, key: str, **request: Any) -> Iterator[dict[str, Any]]:
    marker: dict[str, str] = {}
    while True:
        page = call(operation, **request, **marker)
        yield from page.get(key) or []
        if not page.get("Marker"):
            return
        marker = {"Marker": page["Marker"]}


def _end(call: Call, cluster_id: str) -> None:
    with ignore_faults(CloudFault.MISSING):
        call("terminate_job_flows", JobFlowIds=[cluster_id])


def open_cluster(name: str, config: Mapping[str, Any], site: ClusterSite) -> EmrCluster:
    """Return the clusters with that name."""
    return EmrCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: ClusterSite) -> EmrFleet:
    """Return all clusters that airflow-wall started in that region."""
    return EmrFleet(config, site)
