"""
The `dataproc` cluster: Google Cloud Dataproc.

Names are unique in a project and region. Of two processes that create one cluster, the second gets "already exists" and
adopts it.
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
from airflow_wall.clusters.cost import Budget, node_hours
from airflow_wall.clusters.dataproc_request import MARK, PREFIX, lease_of, nodes_of, owner_of, request_of
from airflow_wall.clusters.remote import JobView, Remote, parcel_of, remove_jobs
from airflow_wall.errors import ClusterError, Interrupted

EXTRA = "google"
"""The extra of airflow-wall with the client."""

STATES = {
    "UNKNOWN": ClusterState.STARTING,
    "CREATING": ClusterState.STARTING,
    "STARTING": ClusterState.STARTING,
    "REPAIRING": ClusterState.STARTING,
    "RUNNING": ClusterState.RUNNING,
    "UPDATING": ClusterState.RUNNING,
    "ERROR_DUE_TO_UPDATE": ClusterState.RUNNING,  # Dataproc documents that it accepts jobs
    "ERROR": ClusterState.BROKEN,
    "STOPPING": ClusterState.BROKEN,
    "STOPPED": ClusterState.BROKEN,
    "DELETING": ClusterState.STOPPING,
}
"""Our cluster state by Dataproc's."""

JOB_STATES = {
    "STATE_UNSPECIFIED": JobState.RUNNING,
    "PENDING": JobState.RUNNING,
    "SETUP_DONE": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "CANCEL_PENDING": JobState.RUNNING,
    "CANCEL_STARTED": JobState.RUNNING,
    "ATTEMPT_FAILURE": JobState.RUNNING,  # Dataproc retries it
    "DONE": JobState.SUCCEEDED,
    "ERROR": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}
"""Our job state by Dataproc's."""

POLL = 5.0
"""Seconds between two checks of a cluster that starts or ends."""

GONE = timedelta(minutes=15)
"""Longest time until a cluster has ended; after it the stop is retried."""

_PROGRAM = """\
import sys

sys.path.insert(0, {parcel!r})

from airflow_wall.jobs.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


class DataprocCluster:
    """
    The Dataproc cluster with a name.

    :param name: The cluster's name.
    :param config: The `cluster` block of the YAML.
    """

    environments = ("python",)

    def __init__(self, name: str, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.name = name
        self.config = config
        self.site = site
        self.call: Call = site.client("dataproc", config)
        self.jobs = site.mounted_state / "jobs" / name
        self.budget = Budget(name, config, site.clock, self._node_hours)

    # --- starting

    def ensure(self) -> dict[str, Any]:
        """Adopt the cluster, or create it. A broken cluster of an earlier try is deleted and replaced."""
        check_deployment(self.site)
        with error_context(self.name, self.config, "start cluster"):
            operation: str | None = self.site.clock.note.get("operation")
            while True:
                cluster = self._get()
                cluster_state = None if cluster is None else STATES[_state_name(cluster)]
                if cluster_state is ClusterState.RUNNING:
                    break
                if cluster is None and operation is None:
                    operation = self._create()
                elif cluster_state is ClusterState.BROKEN:
                    detail = _detail(cluster) or "it is broken"
                    broken = self._creation_error(operation) or CloudError(CloudFault.LATER, detail)
                    self._end()
                    if operation is not None:  # this call created it; a cluster of an earlier try is replaced
                        raise broken
                elif cluster is None:
                    failure = self._creation_error(operation)
                    if failure is not None:
                        raise failure
                self.site.clock.wait(POLL, Awaited(Event.STARTED, self.name, note={"operation": operation}))
        return {"type": "dataproc", "name": self.name, "region": self.config["region"]}

    def _create(self) -> str | None:
        """Create the cluster. Return the operation's name, or None if another process has created it."""
        request = request_of(self.name, self.config, self.site.owner)
        try:
            # One id for all retries that the client makes when it gets no answer.
            operation = self.call("create_cluster", cluster=request, request_id=str(uuid.uuid4()))
        except CloudError as error:
            if error.fault is not CloudFault.EXISTS:
                raise
            return None
        return str(operation["name"])

    def _creation_error(self, operation: str | None) -> CloudError | None:
        """Return the error of our creation; None if it has not failed or was not ours."""
        done = self.call("get_operation", name=operation) if operation else {}
        error = done.get("error")
        if error:
            return CloudError(CloudFault(error["fault"]), error["message"])
        return CloudError(CloudFault.LATER, "it was deleted while it was created") if done.get("done") else None

    # --- reading the state

    def _get(self) -> dict[str, Any] | None:
        try:
            cluster = self.call("get_cluster", cluster_name=self.name)
        except CloudError as error:
            if error.fault is CloudFault.MISSING:
                return None
            raise
        if (cluster.get("labels") or {}).get(f"{PREFIX}name") != self.name:
            raise ClusterError(
                f"cluster `{self.name}` exists without the labels of airflow-wall, so it is not used or changed",
                hint="delete that cluster by hand if nobody needs it, and clear this task",
            )
        return cluster

    def state(self) -> ClusterState | None:
        """Return the cluster's state."""
        with error_context(self.name, self.config, "describe cluster"):
            cluster = self._get()
            return None if cluster is None else STATES[_state_name(cluster)]

    # --- working

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:  # noqa: ARG002
        """Run a job as a PySpark job of the cluster, in the driver."""
        with error_context(self.name, self.config, "run a job on cluster"):
            while (how := self.state()) is ClusterState.STARTING:
                self.site.clock.wait(POLL, Awaited(Event.STARTED, self.name))
            if how is not ClusterState.RUNNING:
                raise not_running(self.name)
            jobs = self._jobs(job["environment"].get("python"))
            return Remote(jobs, self.name, self.name, self.jobs, self.site.clock, self.budget.check).run(job, log)

    def _jobs(self, python: str | None = None) -> _Jobs:
        return _Jobs(self.call, self.name, python or self.config.get("python"))

    def _node_hours(self) -> float:
        cluster = self._get()
        return 0.0 if cluster is None else _node_hours(cluster, self.site.clock.now())

    # --- waiting

    def pending(self, awaited: Awaited) -> bool:
        """Return True if the cluster still starts or ends, or the job still runs."""
        with error_context(self.name, self.config, "describe cluster"):
            if awaited.event is Event.DONE:
                self.budget.check()
                return self._jobs().look(str(awaited.job_id)).state is JobState.RUNNING
            how = self.state()
            if awaited.event is Event.GONE:
                return how is not None
            return how in (ClusterState.STARTING, ClusterState.STOPPING)

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        with error_context(self.name, self.config, "cancel a job on cluster"):
            self._jobs().cancel(job_id)

    def links(self, job_id: str | None = None) -> Mapping[str, str]:
        """Return the pages of the cluster, and of the job with its driver's output, in the Google console."""
        project = f"&project={self.config['project']}" if self.config.get("project") else ""
        where = f"region={self.config['region']}{project}"
        of_cluster = f"https://console.cloud.google.com/dataproc/clusters/{self.name}/monitoring?{where}"
        if job_id is None:
            return {"console": of_cluster}
        return {"console": of_cluster, "logs": f"https://console.cloud.google.com/dataproc/jobs/{job_id}?{where}"}

    # --- stopping

    def delete(self) -> Deleted:
        """Delete the cluster, and wait until it has ended."""
        with error_context(self.name, self.config, "stop cluster"):
            cluster, now = self._get(), self.site.clock.now()
            note = self.site.clock.note or {
                "hours": None if cluster is None else _node_hours(cluster, now),
                "begun": now.isoformat(),
            }
            hours, started = note["hours"], datetime.fromisoformat(note["begun"])
            while cluster is not None:
                if STATES[_state_name(cluster)] is not ClusterState.STOPPING:
                    self._end()
                if self.site.clock.now() - started > GONE:
                    raise Interrupted(f"cluster `{self.name}` is still {_state_name(cluster)}")
                self.site.clock.wait(POLL, Awaited(Event.GONE, self.name, note=note, most=GONE))
                cluster = self._get()
        remove_jobs(self.jobs, self.site)
        return Deleted(() if hours is None else (self.name,), hours)

    def _end(self) -> None:
        with ignore_faults(CloudFault.BUSY):  # another process has begun to delete it; the next check shows
            _end(self.call, self.name)


class DataprocFleet:
    """All clusters that airflow-wall started in one region of one project."""

    def __init__(self, config: Mapping[str, Any], site: ClusterSite) -> None:
        self.call: Call = site.client("dataproc", config)
        self.config = config

    def list(self) -> Sequence[FoundCluster]:
        """Return the clusters with our labels."""
        with error_context("wall-*", self.config, "list clusters"):
            clusters = self.call("list_clusters", filter=f"labels.{MARK} = *")["clusters"]
        return [_to_found_cluster(cluster) for cluster in clusters]

    def end(self, cluster: FoundCluster) -> None:
        """Delete a cluster."""
        with error_context(cluster.name, self.config, "stop cluster"):
            _end(self.call, cluster.name, cluster.id)


class _Jobs:
    """The jobs of one cluster, by their ids."""

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
        with ignore_faults(CloudFault.EXISTS):
            self.call("submit_job", job=request, request_id=job_id)

    def look(self, job_id: str) -> JobView:
        try:
            status = self.call("get_job", job_id=job_id)["status"]
        except CloudError as error:
            if error.fault is CloudFault.MISSING:
                return JobView(None)
            raise
        return JobView(JOB_STATES[status["state"]], status.get("details") or "")

    def cancel(self, job_id: str) -> None:
        with ignore_faults(CloudFault.MISSING, CloudFault.BUSY):  # busy: it has ended
            self.call("cancel_job", job_id=job_id)


def _state_name(cluster: Mapping[str, Any]) -> str:
    return str(cluster["status"]["state"])


def _detail(cluster: Mapping[str, Any] | None) -> str | None:
    return cluster["status"].get("detail") if cluster else None


def _created_at(cluster: Mapping[str, Any]) -> datetime:
    statuses = [*(cluster.get("status_history") or []), cluster["status"]]
    return min(datetime.fromisoformat(status["state_start_time"]) for status in statuses)


def _node_hours(cluster: Mapping[str, Any], now: datetime) -> float:
    return node_hours([(_created_at(cluster), None)] * nodes_of(cluster), now)


def _to_found_cluster(cluster: Mapping[str, Any]) -> FoundCluster:
    created = _created_at(cluster)
    return FoundCluster(
        name=cluster["cluster_name"],
        id=cluster["cluster_uuid"],
        state=STATES[_state_name(cluster)],
        owner=owner_of(cluster),
        created=created,
        lease=created + lease_of(cluster),
        nodes=nodes_of(cluster),
    )


def _end(call: Call, name: str, cluster_uuid: str = "") -> None:
    """Delete a cluster; with a uuid, only if the cluster still has it."""
    with ignore_faults(CloudFault.MISSING):
        call("delete_cluster", cluster_name=name, cluster_uuid=cluster_uuid, request_id=str(uuid.uuid4()))


def open_cluster(name: str, config: Mapping[str, Any], site: ClusterSite) -> DataprocCluster:
    """Return the cluster with that name."""
    return DataprocCluster(name, config, site)


def open_fleet(config: Mapping[str, Any], site: ClusterSite) -> DataprocFleet:
    """Return all clusters that airflow-wall started in that region."""
    return DataprocFleet(config, site)
