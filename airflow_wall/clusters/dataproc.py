"""
The `dataproc` cluster: Google Cloud Dataproc.

Names are unique in a project and region, so of two that create one is told that it exists, and adopts it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall import state
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
from airflow_wall.clusters.dataproc_request import MARK, PREFIX, lease_of, nodes_of, owner_of, request_of
from airflow_wall.clusters.remote import JobView, Remote, parcel_of, remove_jobs
from airflow_wall.errors import ClusterError, Interrupted

STATES = {
    "UNKNOWN": State.STARTING,
    "CREATING": State.STARTING,
    "STARTING": State.STARTING,
    "REPAIRING": State.STARTING,
    "RUNNING": State.RUNNING,
    "UPDATING": State.RUNNING,
    "ERROR_DUE_TO_UPDATE": State.RUNNING,  # it takes jobs, says Dataproc
    "ERROR": State.BROKEN,
    "STOPPING": State.BROKEN,
    "STOPPED": State.BROKEN,
    "DELETING": State.STOPPING,
}
"""Dataproc's word for a cluster to ours."""

JOB_STATES = {
    "STATE_UNSPECIFIED": JobState.RUNNING,
    "PENDING": JobState.RUNNING,
    "SETUP_DONE": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,
    "CANCEL_STARTED": JobState.RUNNING,
    "ATTEMPT_FAILURE": JobState.RUNNING,  # it is tried again by Dataproc
    "DONE": JobState.SUCCEEDED,
    "ERROR": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
"""Dataproc's word for a job to ours."""

POLL = 5.0
"""Seconds between two looks at a cluster that starts or ends."""

GONE = timedelta(minutes=15)
"""How long a cluster may take to be gone, before stopping it is tried again."""

_PROGRAM = """\
import sys

sys.path.insert(0, {parcel!r})

from airflow_wall.jobs.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


class DataprocCluster:
    """
    The cluster of Dataproc that bears a name.

    :param name: Its name.
    :param config: What the YAML says under `cluster`.
    """

    environments = ("python",)

    def __init__(self, name: str, config: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.call: Call = site.client("dataproc", config)
        self.jobs = site.state / "jobs" / name
        self.budget = Budget(name, config, site.clock, self._hours)

    # --- starting

    def ensure(self) -> dict[str, Any]:
        """Have it: adopt it, whatever try created it, or create it. One that is broken is deleted first, once."""
        checked_deployment(self.site)
        with told(self.name, self.config, "start cluster"):
            operation: str | None = self.site.clock.note.get("operation")
            while True:
                found = self._found()
                how = None if found is None else STATES[_word(found)]
                if how is State.RUNNING:
                    break
                if found is None and operation is None:
                    operation = self._created()
                elif how is State.BROKEN:
                    why = self._why(operation) or CloudError(Fault.LATER, _detail(found) or "it is broken")
                    self._end()
                    if operation is not None:  # this call's own; one of an earlier try is replaced
                        raise why
                elif found is None:
                    gone = self._why(operation)
                    if gone is not None:
                        raise gone
                self.site.clock.wait(POLL, Awaited(Event.STARTED, self.name, note={"operation": operation}))
        return {"type": "dataproc", "name": self.name, "region": self.config["region"]}

    def _created(self) -> str | None:
        """Create it. Return the operation that does, if it is this call's."""
        request = request_of(self.name, self.config, self.site.owner)
        try:
            # The id is one for all times that the client repeats this call because it heard no answer.
            made = self.call("create_cluster", cluster=request, request_id=str(uuid.uuid4()))
        except CloudError as error:
            if error.fault is not Fault.EXISTS:
                raise
            return None
        return str(made["name"])

    def _why(self, operation: str | None) -> CloudError | None:
        """Why a creation of ours failed; None while it has not, or where it is not ours."""
        done = self.call("get_operation", name=operation) if operation else {}
        error = done.get("error")
        if error:
            return CloudError(Fault(error["fault"]), error["message"])
        return CloudError(Fault.LATER, "it was deleted while it was created") if done.get("done") else None

    # --- what there is

    def _found(self) -> dict[str, Any] | None:
        try:
            found = self.call("get_cluster", cluster_name=self.name)
        except CloudError as error:
            if error.fault is Fault.MISSING:
                return None
            raise
        if (found.get("labels") or {}).get(f"{PREFIX}name") != self.name:
            raise ClusterError(
                f"there is a cluster `{self.name}` that has not our labels, so it is not touched",
                hint="delete it by hand, if nobody needs it",
            )
        return found

    def state(self) -> State | None:
        """How it is."""
        with told(self.name, self.config, "look at cluster"):
            found = self._found()
            return None if found is None else STATES[_word(found)]

    # --- working

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:  # noqa: ARG002
        """Run a job as a PySpark job of the cluster, whose driver does the work."""
        with told(self.name, self.config, "run a job on cluster"):
            while (how := self.state()) is State.STARTING:
                self.site.clock.wait(POLL, Awaited(Event.STARTED, self.name))
            if how is not State.RUNNING:
                raise not_running(self.name)
            jobs = self._jobs(job["environment"].get("python"))
            return Remote(jobs, self.name, self.name, self.jobs, self.site.clock, self.budget.check).run(job, log)

    def _jobs(self, python: str | None = None) -> _Jobs:
        return _Jobs(self.call, self.name, python or self.config.get("python"))

    def _hours(self) -> float:
        found = self._found()
        return 0.0 if found is None else _hours(found, self.site.clock.now())

    # --- being waited for

    def pending(self, awaited: Awaited) -> bool:
        """Whether the cluster still starts, or still ends, or the job still runs."""
        with told(self.name, self.config, "look at cluster"):
            if awaited.event is Event.DONE:
                self.budget.check()
                return self._jobs().look(str(awaited.job_id)).state is JobState.RUNNING
            how = self.state()
            if awaited.event is Event.GONE:
                return how is not None
            return how in (State.STARTING, State.STOPPING)

    def cancel(self, job_id: str) -> None:
        """Have a job cancelled."""
        with told(self.name, self.config, "cancel a job on cluster"):
            self._jobs().cancel(job_id)

    def links(self, job_id: str | None = None) -> Mapping[str, str]:
        """The cluster, or the job with its driver's output, in the console of Google."""
        project = f"&project={self.config['project']}" if self.config.get("project") else ""
        where = f"region={self.config['region']}{project}"
        of_cluster = f"https://console.cloud.google.com/dataproc/clusters/{self.name}/monitoring?{where}"
        if job_id is None:
            return {"console": of_cluster}
        return {"console": of_cluster, "logs": f"https://console.cloud.google.com/dataproc/jobs/{job_id}?{where}"}

    # --- stopping

    def delete(self) -> Deleted:
        """Delete it, and see it go."""
        with told(self.name, self.config, "stop cluster"):
            found, now = self._found(), self.site.clock.now()
            note = self.site.clock.note or {
                "hours": None if found is None else _hours(found, now),
                "begun": now.isoformat(),
            }
            hours, begun = note["hours"], datetime.fromisoformat(note["begun"])
            while found is not None:
                if STATES[_word(found)] is not State.STOPPING:
                    self._end()
                if self.site.clock.now() - begun > GONE:
                    raise Interrupted(f"cluster `{self.name}` is still {_word(found)}")
                self.site.clock.wait(POLL, Awaited(Event.GONE, self.name, note=note, most=GONE))
                found = self._found()
        remove_jobs(self.jobs)
        return Deleted(() if hours is None else (self.name,), hours)

    def _end(self) -> None:
        with passed_over(Fault.BUSY):  # somebody else has begun to; the next look tells
            _end(self.call, self.name)


class DataprocFleet:
    """All clusters of ours in one region of one project."""

    def __init__(self, config: Mapping[str, Any], site: Site) -> None:
        self.call: Call = site.client("dataproc", config)
        self.config = config

    def list(self) -> Sequence[Found]:
        """Those with our labels."""
        with told("wall-*", self.config, "list clusters"):
            clusters = self.call("list_clusters", filter=f"labels.{MARK} = *")["clusters"]
        return [_view(each) for each in clusters]

    def end(self, found: Found) -> None:
        """Have it deleted."""
        with told(found.name, self.config, "stop cluster"):
            _end(self.call, found.name, found.id)


class _Jobs:
    """Jobs of one cluster, by their ids."""

    def __init__(self, call: Call, cluster: str, python: str | None) -> None:
        self.call = call
        self.cluster = cluster
        self.python = python

    def submit(self, job_id: str, folder: Path) -> None:
        program = folder / "main.py"
        state.write_bytes(program, _PROGRAM.format(parcel=str(parcel_of(folder))).encode())
        job: dict[str, Any] = {"main_python_file_uri": program.absolute().as_uri(), "args": ["--folder", str(folder)]}
        if self.python:
            names = ("spark.pyspark.python", "spark.pyspark.driver.python")
            job["properties"] = dict.fromkeys(names, self.python)
        request = {"reference": {"job_id": job_id}, "placement": {"cluster_name": self.cluster}, "pyspark_job": job}
        with passed_over(Fault.EXISTS):
            self.call("submit_job", job=request, request_id=job_id)

    def look(self, job_id: str) -> JobView:
        try:
            status = self.call("get_job", job_id=job_id)["status"]
        except CloudError as error:
            if error.fault is Fault.MISSING:
                return JobView(None)
            raise
        return JobView(JOB_STATES[status["state"]], status.get("details") or "")

    def cancel(self, job_id: str) -> None:
        with passed_over(Fault.MISSING, Fault.BUSY):  # busy: it has ended
            self.call("cancel_job", job_id=job_id)


def _word(cluster: Mapping[str, Any]) -> str:
    return str(cluster["status"]["state"])


def _detail(cluster: Mapping[str, Any] | None) -> str | None:
    return cluster["status"].get("detail") if cluster else None


def _created_at(cluster: Mapping[str, Any]) -> datetime:
    statuses = [*(cluster.get("status_history") or []), cluster["status"]]
    return min(datetime.fromisoformat(each["state_start_time"]) for each in statuses)


def _hours(cluster: Mapping[str, Any], now: datetime) -> float:
    return node_hours([(_created_at(cluster), None)] * nodes_of(cluster), now)


def _view(cluster: Mapping[str, Any]) -> Found:
    created = _created_at(cluster)
    return Found(
        name=cluster["cluster_name"],
        id=cluster["cluster_uuid"],
        state=STATES[_word(cluster)],
        owner=owner_of(cluster),
        created=created,
        lease=created + lease_of(cluster),
        nodes=nodes_of(cluster),
    )


def _end(call: Call, name: str, cluster_uuid: str = "") -> None:
    """Have it deleted; with an id, only if it still is the one of that id."""
    with passed_over(Fault.MISSING):
        call("delete_cluster", cluster_name=name, cluster_uuid=cluster_uuid, request_id=str(uuid.uuid4()))


def open_cluster(name: str, config: Mapping[str, Any], site: Site) -> DataprocCluster:
    """The cluster of that name."""
    return DataprocCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: Site) -> DataprocFleet:
    """All of ours in that region."""
    return DataprocFleet(config, site)
