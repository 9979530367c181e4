"""
The `emr` cluster: Amazon EMR on EC2.

EMR has neither unique names nor tokens that make creating idempotent, and what was just created may not be listed yet.
So: what is about to be asked for is noted in the lake first; who finds such a note waits for the list before it creates
another; after every creation the oldest of the name is kept and the others are ended; and which one the run works on is
decided once, in the lake. What slips through all that is ended by the reaper, and by EMR itself when it has been idle.
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
    Deleted,
    Document,
    Event,
    Found,
    JobState,
    Log,
    Site,
    State,
    not_running,
)
from airflow_wall.clusters.cloud import Call, CloudError, Fault, checked_deployment, passed_over, told
from airflow_wall.clusters.cost import Budget, node_hours
from airflow_wall.clusters.emr_request import PREFIX, lease_of, owner_of, request_of
from airflow_wall.clusters.pin import Pin
from airflow_wall.clusters.remote import JobView, Remote, parcel_of, remove_jobs
from airflow_wall.errors import Interrupted

STATES: dict[str, State | None] = {
    "STARTING": State.STARTING,
    "BOOTSTRAPPING": State.STARTING,
    "RUNNING": State.RUNNING,
    "WAITING": State.RUNNING,
    "TERMINATING": State.STOPPING,
    "TERMINATED": None,
    "TERMINATED_WITH_ERRORS": None,
}
"""EMR's word for a cluster to ours; None: it is gone."""

JOB_STATES = {
    "PENDING": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,
    "COMPLETED": JobState.SUCCEEDED,
    "CANCELLED": JobState.CANCELLED,
    "FAILED": JobState.FAILED,
    "INTERRUPTED": JobState.FAILED,
}
"""EMR's word for a step to ours."""

ALIVE = tuple(word for word, state in STATES.items() if state in (State.STARTING, State.RUNNING))
"""EMR's words for clusters that nobody has ended."""

POLL = 10.0
"""Seconds between two looks at a cluster that starts."""

SETTLE = timedelta(seconds=90)
"""How long a cluster may take to be listed after its creation."""

_HOPELESS = ("VALIDATION_ERROR", "BOOTSTRAP_FAILURE")
"""Reasons of EMR for a cluster's end that the next one would end by, too."""


@dataclass(frozen=True, order=True)
class _Member:
    """A cluster of our name; the oldest is the least."""

    created: datetime
    id: str


class EmrCluster:
    """
    The clusters of EMR that bear one name, of which the run uses one.

    :param name: Their name.
    :param config: What the YAML says under `cluster`.
    """

    environments = ("python",)

    def __init__(self, name: str, config: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.call: Call = site.client("emr", config)
        self.pin = Pin(site.state / "clusters" / f"{name}.json")
        self.jobs = site.state / "jobs" / name
        self.watched: Budget | None = None

    # --- starting

    def ensure(self) -> dict[str, Any]:
        """Have it: the one the run has decided on, else the oldest of its name, else a new one."""
        checked_deployment(self.site)
        with told(self.name, self.config, "start cluster"):
            chosen = self._waited_for() or self._pinned() or self._adopted() or self._created()
            self._end_others(chosen)
            self._wait_for(chosen)
            self._end_others(chosen)  # again: what was listed late
        return {"type": "emr", "name": self.name, "id": chosen, "region": self.config["region"]}

    def _waited_for(self) -> str | None:
        """The one this call has waited for, even if it has ended: that is to be told, as the next would end as well."""
        noted: str | None = self.site.clock.note.get("id")
        return noted if noted == self.pin.id else None

    def _pinned(self) -> str | None:
        found = self.pin.id
        return found if found is not None and self._lives(found) else None

    def _adopted(self) -> str | None:
        members = self._members()
        while not members and self._unheard():  # one was asked for, by a try that was killed before it heard its id
            self.site.clock.sleep(POLL)
            members = self._members()
        return self.pin.decide(min(members).id, self._lives) if members else None

    def _created(self) -> str:
        self.pin.ask(self.site.clock.now())
        made: str = self.call("run_job_flow", **request_of(self.name, self.config, self.site.owner))["JobFlowId"]
        members = [*self._members(), _Member(self._described(made)["Status"]["Timeline"]["CreationDateTime"], made)]
        return self.pin.decide(min(members).id, self._lives)

    def _unheard(self) -> bool:
        asked = self.pin.asked
        return asked is not None and self.site.clock.now() < asked + SETTLE

    def _end_others(self, chosen: str) -> None:
        for member in self._members():
            if member.id != chosen:
                _end(self.call, member.id)

    def _wait_for(self, cluster_id: str) -> None:
        while True:
            status = self._described(cluster_id)["Status"]
            state = STATES[status["State"]]
            if state is State.RUNNING:
                return
            if state is not State.STARTING:
                raise self._ended(cluster_id, status)
            self.site.clock.wait(POLL, Awaited(Event.STARTED, cluster_id, note={"id": cluster_id}))

    def _ended(self, cluster_id: str, status: Mapping[str, Any]) -> Exception:
        reason = status.get("StateChangeReason") or {}
        why = f"cluster {cluster_id} has ended: {reason.get('Message') or reason.get('Code') or status['State']}"
        return CloudError(Fault.REFUSED if reason.get("Code") in _HOPELESS else Fault.LATER, why)

    # --- what there is

    def _members(self) -> list[_Member]:
        """Those of our name that nobody has ended, as far as they are listed."""
        return [
            _Member(each["Status"]["Timeline"]["CreationDateTime"], each["Id"])
            for each in _listed(self.call)
            if each["Name"] == self.name
        ]

    def _described(self, cluster_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("describe_cluster", ClusterId=cluster_id)["Cluster"]
        return found

    def _lives(self, cluster_id: str) -> bool:
        try:
            return self._described(cluster_id)["Status"]["State"] in ALIVE
        except CloudError as error:
            if error.fault in (Fault.MISSING, Fault.REFUSED):
                return False
            raise

    def state(self) -> State | None:
        """How the one is that the run has decided on, else the oldest of the name."""
        with told(self.name, self.config, "look at cluster"):
            found = self._used()
            return None if found is None else STATES[self._described(found)["Status"]["State"]]

    def _used(self) -> str | None:
        pinned = self._pinned()
        if pinned is not None:
            return pinned
        members = self._members()
        return min(members).id if members else None

    # --- working

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:  # noqa: ARG002
        """Run a job as a step of the cluster."""
        with told(self.name, self.config, "run a job on cluster"):
            used = self._used()
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
        return sum(node_hours(_spans(self.call, each), now) for each in cluster_ids)

    # --- being waited for

    def pending(self, awaited: Awaited) -> bool:
        """Whether the cluster still starts, or the job still runs."""
        with told(self.name, self.config, "look at cluster"):
            if awaited.job_id is None:
                return STATES[self._described(awaited.cluster_id)["Status"]["State"]] is State.STARTING
            self.watched = self.watched or self._budget(awaited.cluster_id)
            self.watched.check()
            return self._steps(awaited.cluster_id).look(awaited.job_id).state is JobState.RUNNING

    def cancel(self, job_id: str) -> None:
        """Have a step cancelled."""
        with told(self.name, self.config, "cancel a job on cluster"):
            used = self._used()
            if used is not None:
                self._steps(used).cancel(job_id)

    def links(self, job_id: str | None = None) -> Mapping[str, str]:  # noqa: ARG002  the console has no page of a step
        """The cluster in the console of AWS, and the folder of its logs in S3."""
        region, found = self.config["region"], self.pin.id
        if found is None:
            return {}
        console = f"https://{region}.console.aws.amazon.com"
        links = {"console": f"{console}/emr/home?region={region}#/clusterDetails/{found}"}
        bucket, _, prefix = (self.config.get("log_uri") or "").removeprefix("s3://").partition("/")
        if bucket:
            folder = quote(f"{prefix.rstrip('/')}/{found}/".lstrip("/"))
            links["logs"] = f"{console}/s3/buckets/{bucket}?region={region}&prefix={folder}"
        return links

    # --- stopping

    def delete(self) -> Deleted:
        """End all of the name, and see them end."""
        with told(self.name, self.config, "stop cluster"):
            ended: list[str] = []
            while found := self._to_end(patient=not ended):
                for each in found:
                    _end(self.call, each)
                left = [each for each in found if self._lives(each)]
                if left:
                    raise Interrupted(f"cluster `{self.name}`: EMR has not begun to end {', '.join(left)}")
                ended += [each for each in found if each not in ended]
            hours = self._hours(ended) if ended else None
        self.pin.remove()
        remove_jobs(self.jobs)
        return Deleted(tuple(ended), hours)

    def _to_end(self, *, patient: bool) -> list[str]:
        found = {member.id for member in self._members() if self._lives(member.id)}
        pinned = self._pinned()
        if pinned is not None:
            found.add(pinned)
        while patient and not found and self._unheard():
            self.site.clock.sleep(POLL)
            found = {member.id for member in self._members()}
        return sorted(found)


class EmrFleet:
    """All clusters of ours in one region of one account."""

    def __init__(self, config: Mapping[str, Any], site: Site) -> None:
        self.call: Call = site.client("emr", config)
        self.config = config

    def list(self) -> Sequence[Found]:
        """Those with our tags that nobody has ended."""
        with told("wall-*", self.config, "list clusters"):
            return list(self._found())

    def _found(self) -> Iterator[Found]:
        for each in _listed(self.call):
            if not each["Name"].startswith("wall-"):
                continue
            described = self.call("describe_cluster", ClusterId=each["Id"])["Cluster"]
            tags = described.get("Tags") or []
            state = STATES[described["Status"]["State"]]
            if state is None or not any(tag["Key"] == f"{PREFIX}name" for tag in tags):
                continue
            created = described["Status"]["Timeline"]["CreationDateTime"]
            spans = _spans(self.call, each["Id"])
            yield Found(
                name=each["Name"],
                id=each["Id"],
                state=state,
                owner=owner_of(tags),
                created=created,
                lease=created + lease_of(tags),
                nodes=sum(end is None for _, end in spans),
            )

    def end(self, found: Found) -> None:
        """Have it terminated."""
        with told(found.name, self.config, "stop cluster"):
            _end(self.call, found.id)


class _Steps:
    """Jobs as steps of one cluster, by their names."""

    def __init__(self, call: Call, cluster_id: str, python: str) -> None:
        self.call = call
        self.cluster_id = cluster_id
        self.python = python

    def submit(self, job_id: str, folder: Path) -> None:
        if self._named(job_id):
            return
        program = [self.python, str(parcel_of(folder)), "--folder", str(folder)]
        step = {
            "Name": job_id,
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": program},
        }
        self.call("add_job_flow_steps", JobFlowId=self.cluster_id, Steps=[step])

    def look(self, job_id: str) -> JobView:
        statuses = [step["Status"] for step in self._named(job_id)]
        views = [JobView(JOB_STATES[status["State"]], _why(status)) for status in statuses]
        for state in (JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            for view in views:
                if view.state is state:
                    return view
        return JobView(None)

    def cancel(self, job_id: str) -> None:
        ids = [step["Id"] for step in self._named(job_id) if JOB_STATES[step["Status"]["State"]] is JobState.RUNNING]
        if ids:
            how = "TERMINATE_PROCESS"
            self.call("cancel_steps", ClusterId=self.cluster_id, StepIds=ids, StepCancellationOption=how)

    def _named(self, job_id: str) -> list[dict[str, Any]]:
        steps = _pages(self.call, "list_steps", "Steps", ClusterId=self.cluster_id)
        return [step for step in steps if step["Name"] == job_id]


def _why(status: Mapping[str, Any]) -> str:
    failure = status.get("FailureDetails") or {}
    change = status.get("StateChangeReason") or {}
    return failure.get("Message") or failure.get("Reason") or change.get("Message") or ""


def _listed(call: Call) -> Iterator[dict[str, Any]]:
    return _pages(call, "list_clusters", "Clusters", ClusterStates=list(ALIVE))


def _spans(call: Call, cluster_id: str) -> list[tuple[datetime, datetime | None]]:
    """From when to when each machine of a cluster was there."""
    found = _pages(call, "list_instances", "Instances", ClusterId=cluster_id)
    times = [each["Status"]["Timeline"] for each in found]
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
    with passed_over(Fault.MISSING):
        call("terminate_job_flows", JobFlowIds=[cluster_id])


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> EmrCluster:
    """The cluster of that name."""
    return EmrCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> EmrFleet:
    """All of ours in that region."""
    return EmrFleet(config, site)
