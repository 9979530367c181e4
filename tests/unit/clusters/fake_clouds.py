"""Clouds in memory, which answer late, wrongly or not at all if a test asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall.clusters.base import Clock
from airflow_wall.clusters.cloud import CloudError, CloudFault

STARTS = timedelta(seconds=90)
WORKS = timedelta(seconds=60)


class Killed(BaseException):
    """The process that made the call is gone."""


class VirtualClock(Clock):
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Faults:
    """The faults by the number of the call: `before` it is done, or `after`, when its answer is lost."""

    at: dict[int, tuple[str, Callable[[], None]]] = field(default_factory=dict)
    calls: int = 0
    is_dead: bool = False

    def around(self, does: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if self.is_dead:  # nothing is cleaned up by who is killed
            raise Killed
        self.calls += 1
        when, happens = self.at.get(self.calls, ("never", lambda: None))
        try:
            if when == "before":
                happens()
            answer = does()
            if when == "after":
                happens()
        except Killed:
            self.is_dead = True
            raise
        return answer


def no_answer() -> None:
    raise CloudError(CloudFault.LATER, "connection reset")


def throttled() -> None:
    raise CloudError(CloudFault.LATER, "rate exceeded")


def kill() -> None:
    raise Killed


@dataclass
class Job:
    name: str
    folder: Path
    began: datetime
    cancelled: bool = False

    def state(self, now: datetime) -> str:
        if self.cancelled:
            return "CANCELLED"
        if now < self.began + WORKS:
            return "RUNNING"
        if not (self.folder / "answer.json").exists():  # it does its work when its time is over
            (self.folder / "claim").touch()
            (self.folder / "answer.json").write_text(json.dumps({"result": {"rows": 1}}))
        return "DONE"


@dataclass
class Machine:
    id: str
    name: str
    created: datetime
    request: dict[str, Any]
    ended: datetime | None = None
    gone: bool = False
    fault: str | None = None
    jobs: list[Job] = field(default_factory=list)

    def is_starting(self, now: datetime) -> bool:
        return now < self.created + STARTS


class FakeCloud:
    """The base of both clouds. `alive` is the true state, which `list` may not show yet."""

    def __init__(self, clock: VirtualClock, visible_after: timedelta = timedelta(0)) -> None:
        self.clock = clock
        self.faults = Faults()
        self.visible_after = visible_after
        self.clusters: list[Machine] = []
        self.used: set[str] = set()
        self.most_at_once = 0
        self.refuse: CloudError | None = None

    @property
    def alive(self) -> list[Machine]:
        return [machine for machine in self.clusters if machine.ended is None]

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        self.clock.sleep(0.2)
        return self.faults.around(lambda: getattr(self, f"_{operation}")(**request))

    def create(self, name: str, request: dict[str, Any]) -> Machine:
        if self.refuse is not None:
            raise self.refuse
        machine = Machine(f"j-{len(self.clusters) + 1:04d}", name, self.clock.now(), request)
        self.clusters.append(machine)
        self.most_at_once = max(self.most_at_once, len(self.alive))
        return machine

    def submit(self, machine: Machine, name: str, folder: str) -> None:
        self.used.add(machine.id)
        machine.jobs.append(Job(name, Path(folder), self.clock.now()))


class FakeEmr(FakeCloud):
    """EMR: no unique names, no tokens, and a list that is late."""

    def _of(self, cluster_id: str) -> Machine:
        matches = [cluster for cluster in self.clusters if cluster.id == cluster_id]
        if not matches:
            raise CloudError(CloudFault.MISSING, f"Cluster id '{cluster_id}' is not valid.")
        return matches[0]

    def _word(self, machine: Machine) -> str:
        if machine.ended is not None:
            return "TERMINATED_WITH_ERRORS" if machine.fault else "TERMINATING"
        if machine.is_starting(self.clock.now()):
            return "STARTING"
        return "RUNNING" if any(job.state(self.clock.now()) == "RUNNING" for job in machine.jobs) else "WAITING"

    def _run_job_flow(self, **request: Any) -> dict[str, Any]:
        assert request["AutoTerminationPolicy"]["IdleTimeout"] > 0
        return {"JobFlowId": self.create(request["Name"], request).id}

    def _list_clusters(self, ClusterStates: list[str], Marker: str | None = None) -> dict[str, Any]:  # noqa: N803
        listed = [
            {"Id": cluster.id, "Name": cluster.name, **self._status(cluster)}
            for cluster in self.clusters
            if cluster.created + self.visible_after <= self.clock.now() and self._word(cluster) in ClusterStates
        ]
        first = int(Marker or 0)  # two on a page, so pages are read
        more = {"Marker": str(first + 2)} if len(listed) > first + 2 else {}
        return {"Clusters": listed[first : first + 2], **more}

    def _status(self, machine: Machine) -> dict[str, Any]:
        reason = {"Code": "VALIDATION_ERROR", "Message": machine.fault} if machine.fault else {}
        timeline = {"CreationDateTime": machine.created}
        return {"Status": {"State": self._word(machine), "StateChangeReason": reason, "Timeline": timeline}}

    def _describe_cluster(self, ClusterId: str) -> dict[str, Any]:  # noqa: N803
        cluster = self._of(ClusterId)
        return {
            "Cluster": {
                "Id": cluster.id,
                "Name": cluster.name,
                "Tags": cluster.request["Tags"],
                **self._status(cluster),
            }
        }

    def _list_instances(self, ClusterId: str) -> dict[str, Any]:  # noqa: N803
        cluster = self._of(ClusterId)
        timeline = {"CreationDateTime": cluster.created, **({"EndDateTime": cluster.ended} if cluster.ended else {})}
        count = sum(group["InstanceCount"] for group in cluster.request["Instances"]["InstanceGroups"])
        return {"Instances": [{"Status": {"Timeline": timeline}}] * count}

    def _terminate_job_flows(self, JobFlowIds: list[str]) -> dict[str, Any]:  # noqa: N803
        for cluster_id in JobFlowIds:
            cluster = self._of(cluster_id)
            cluster.ended = cluster.ended or self.clock.now()
        return {}

    def _add_job_flow_steps(self, JobFlowId: str, Steps: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        for step in Steps:
            self.submit(self._of(JobFlowId), step["Name"], step["HadoopJarStep"]["Args"][-1])
        return {}

    def _list_steps(self, ClusterId: str) -> dict[str, Any]:  # noqa: N803
        words = {"DONE": "COMPLETED"}
        jobs = [(job.name, job.state(self.clock.now())) for job in self._of(ClusterId).jobs]
        return {"Steps": [{"Id": name, "Name": name, "Status": {"State": words.get(s, s)}} for name, s in jobs]}

    def _cancel_steps(self, ClusterId: str, StepIds: list[str], StepCancellationOption: str) -> dict[str, Any]:  # noqa: N803
        for job in self._of(ClusterId).jobs:
            job.cancelled = job.cancelled or job.name in StepIds
        return {}


class FakeDataproc(FakeCloud):
    """Dataproc: names are unique, and what was created fails later, if it fails."""

    ENDS = timedelta(seconds=30)

    def _settle(self) -> None:
        for item in self.clusters:
            item.gone = item.ended is not None and self.clock.now() >= item.ended + self.ENDS

    def _of(self, name: str) -> Machine:
        self._settle()
        matches = [cluster for cluster in self.clusters if cluster.name == name and not cluster.gone]
        if not matches:
            raise CloudError(CloudFault.MISSING, f"Not found: Cluster {name}")
        return matches[0]

    def _plain(self, machine: Machine) -> dict[str, Any]:
        word = "RUNNING"
        if machine.ended is not None:
            word = "DELETING"
        elif machine.fault:
            word = "ERROR"
        elif machine.is_starting(self.clock.now()):
            word = "CREATING"
        seconds = {key: f"{value['seconds']}s" for key, value in machine.request["config"]["lifecycle_config"].items()}
        return {
            "cluster_name": machine.name,
            "cluster_uuid": machine.id,
            "labels": machine.request["labels"],
            "config": {**machine.request["config"], "lifecycle_config": seconds},
            "status": {"state": word, "state_start_time": machine.created.isoformat(), "detail": machine.fault or ""},
        }

    def _create_cluster(self, cluster: dict[str, Any], request_id: str) -> dict[str, Any]:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?", cluster["cluster_name"])
        assert set(cluster["config"]["lifecycle_config"]) == {"idle_delete_ttl", "auto_delete_ttl"}
        try:
            self._of(cluster["cluster_name"])
        except CloudError:
            return {"name": f"operations/{self.create(cluster['cluster_name'], cluster).id}"}
        raise CloudError(CloudFault.EXISTS, f"Already exists: {cluster['cluster_name']}")

    def _get_operation(self, name: str) -> dict[str, Any]:
        cluster = next(item for item in self.clusters if name.endswith(item.id))
        if cluster.fault:
            return {"done": True, "error": {"message": cluster.fault, "fault": "quota"}}
        return {"done": not cluster.is_starting(self.clock.now())}

    def _get_cluster(self, cluster_name: str) -> dict[str, Any]:
        return self._plain(self._of(cluster_name))

    def _list_clusters(self, filter: str) -> dict[str, Any]:
        self._settle()
        return {"clusters": [self._plain(cluster) for cluster in self.clusters if not cluster.gone]}

    def _delete_cluster(self, cluster_name: str, cluster_uuid: str, request_id: str) -> dict[str, Any]:
        cluster = self._of(cluster_name)
        if cluster_uuid not in ("", cluster.id):
            raise CloudError(CloudFault.MISSING, "another one")
        if cluster.ended is not None:
            raise CloudError(CloudFault.BUSY, "it is being deleted")
        cluster.ended = self.clock.now()
        return {}

    def _submit_job(self, job: dict[str, Any], request_id: str) -> dict[str, Any]:
        machine = self._of(job["placement"]["cluster_name"])
        name = job["reference"]["job_id"]
        if any(item.name == name for item in machine.jobs):
            raise CloudError(CloudFault.EXISTS, name)
        self.submit(machine, name, job["pyspark_job"]["args"][-1])
        return {}

    def _jobs(self, job_id: str) -> Job:
        for item in self.clusters:
            for job in item.jobs:
                if job.name == job_id:
                    return job
        raise CloudError(CloudFault.MISSING, job_id)

    def _get_job(self, job_id: str) -> dict[str, Any]:
        return {"status": {"state": self._jobs(job_id).state(self.clock.now())}}

    def _cancel_job(self, job_id: str) -> dict[str, Any]:
        self._jobs(job_id).cancelled = True
        return {}


CLOUDS = {"emr": FakeEmr, "dataproc": FakeDataproc}
