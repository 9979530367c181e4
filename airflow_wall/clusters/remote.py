"""
Jobs on a cluster of a cloud: submitted once, found again by the next try, their answer read from the lake.

A job is a folder in the lake: `request.json`, then `log` and `answer.json` that it writes itself. Which job a task is
at stands in one document, written before the job is submitted, so a try that was killed at any point is followed by
one that finds the same job. The job claims its folder when it begins: of two copies, one works.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from airflow_wall import state
from airflow_wall.clusters.base import Awaited, Clock, Document, Event, HandedOver, JobState, Log
from airflow_wall.clusters.cloud import CloudError, Fault
from airflow_wall.clusters.pin import replaced
from airflow_wall.environments.answers import result_of
from airflow_wall.environments.parcel import parcel
from airflow_wall.environments.tail import Tail
from airflow_wall.errors import ClusterError, Interrupted

POLL = 5.0
"""Seconds between two looks at a job."""

LATE = timedelta(seconds=60)
"""How long an answer may take to be seen in the lake once its job has ended."""

PATIENCE = timedelta(minutes=5)
"""How long the cloud may give no answer about a job before the try gives up. The job goes on."""

_MOUNT = (
    "`storage` must be a folder that the worker and the cluster both mount at the same path, and the Python of "
    "`cluster.python` must have what jobs need: see docs/guides/clusters.md"
)


@dataclass(frozen=True)
class JobView:
    """
    What a cloud says of a job.

    :param state: None where it knows no such job.
    :param reason: Why it failed, in the cloud's words.
    """

    state: JobState | None
    reason: str = ""


class RemoteJobs(Protocol):
    """The jobs of one cluster, by ids that we choose."""

    def submit(self, job_id: str, folder: Path) -> None:
        """Have the job begin whose folder that is. Nothing happens where the cloud has one of that id."""

    def look(self, job_id: str) -> JobView:
        """How the job is."""

    def cancel(self, job_id: str) -> None:
        """End the job. Nothing happens where it has ended, or there is none."""


class Remote:
    """
    Runs job documents on one cluster.

    :param jobs: Its jobs.
    :param cluster: Its name.
    :param cluster_id: What the cloud knows it by.
    :param folder: Where the folders of its jobs are, in the lake.
    :param guard: Is called at every look, and raises where the cluster may not be used any more.
    """

    def __init__(
        self,
        jobs: RemoteJobs,
        cluster: str,
        cluster_id: str,
        folder: Path,
        clock: Clock,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.jobs = jobs
        self.cluster = cluster
        self.cluster_id = cluster_id
        self.folder = folder
        self.clock = clock
        self.guard = guard

    def run(self, job: Document, log: Log) -> dict[str, Any]:
        """
        Run a job document to its end, or go on with the one that an earlier try of the task submitted.

        :raises ClusterError: it cannot be run on a cluster of a cloud, or the cluster may not be used any more.
        :raises Interrupted: the job was lost, or its cloud does not answer.
        """
        if job["connections"]:
            listed = ", ".join(f"`{conn_id}`" for conn_id in job["connections"])
            raise ClusterError(
                f"`cluster`: this step reads the connection {listed}, whose secret is not sent to a cluster of a cloud",
                hint="remove `cluster` from this step: it then runs in the worker",
            )
        if not self.clock.note:
            self.guard()  # later `_answer` does, and ends the job
        task = _folder_of(self.folder, job["run"]["task_id"])
        job_id = self._current(task, job, log)
        try:
            answer = self._answer(job_id, task / job_id, log)
        except (CloudError, Interrupted) as error:
            if isinstance(error, CloudError) and error.fault is Fault.LATER:
                raise Interrupted(f"job `{job_id}`: the cloud does not answer: {error.reason}") from error
            raise
        state.write(task / "current.json", {"id": job_id, "collected": True})
        return result_of(answer, f"job `{job_id}`")

    # --- which job

    def _current(self, task: Path, job: Document, log: Log) -> str:
        """The id of the job that this task is at; it is submitted."""
        asked = _asked(job)
        path = task / "current.json"
        while True:
            found = state.read(path)
            if found is not None and not found.get("collected") and self._goes_on(task, found, asked, log):
                return str(found["id"])
            job_id = f"{self.cluster}-{task.name}-{uuid.uuid4().hex[:8]}"
            state.write(task / job_id / "request.json", {"job": dict(job)})
            if replaced(path, found, {"id": job_id, "asked": asked}):
                self.jobs.submit(job_id, task / job_id)
                log(f"job {job_id} is submitted to cluster {self.cluster}")
                return job_id

    def _goes_on(self, task: Path, found: Mapping[str, Any], asked: str, log: Log) -> bool:
        """Whether the job of an earlier try is this one. It runs, has run, or is submitted now."""
        job_id = str(found["id"])
        view = self.jobs.look(job_id)
        if found.get("asked") != asked:  # the task was cleared, and says something else now
            if view.state is JobState.RUNNING:
                self._end(job_id)
            return False
        if view.state is None and not _is_answered(task / job_id):  # written down, and perhaps not submitted
            self.jobs.submit(job_id, task / job_id)
            return True
        goes_on = view.state in (JobState.RUNNING, JobState.SUCCEEDED) or _is_answered(task / job_id)
        if goes_on and not self.clock.note:
            log(f"going on with job {job_id}, which an earlier try submitted")
        return goes_on

    def _end(self, job_id: str) -> None:
        self.jobs.cancel(job_id)
        while self.jobs.look(job_id).state is JobState.RUNNING:
            self.clock.sleep(POLL)

    # --- its end

    def _answer(self, job_id: str, folder: Path, log: Log) -> str:
        tail = Tail(folder / "log", log, at=self.clock.note.get("log", 0))
        ended = silent = None
        while True:
            try:
                self.guard()
                view = self.jobs.look(job_id)
                silent = None
            except CloudError as error:
                silent = silent or self.clock.now()
                if error.fault is not Fault.LATER or self.clock.now() - silent > PATIENCE:
                    raise
                view = JobView(JobState.RUNNING)
            except BaseException:  # this task is told to stop, or the cluster costs too much
                self._cancel(job_id, log)
                raise
            tail.read()
            if _is_answered(folder):
                tail.read()
                return (folder / "answer.json").read_text(encoding="utf-8")
            if view.state is not JobState.RUNNING:
                ended = ended or self.clock.now()
                lost = view.state is None or not (folder / "claim").exists()
                if self.clock.now() - ended >= (timedelta(0) if view.state is JobState.CANCELLED else LATE):
                    raise _lost(job_id, self.cluster, folder, view, hint=_MOUNT if lost else None)
            self._pause(job_id, tail.at, log, long=not (ended or silent))

    def _pause(self, job_id: str, at: int, log: Log, *, long: bool) -> None:
        """Wait for the next look. `long`: the job is at work, and may be for hours."""
        try:
            if long:
                self.clock.wait(POLL, Awaited(Event.DONE, self.cluster_id, job_id, {"log": at}))
            else:
                self.clock.sleep(POLL)
        except HandedOver:
            raise
        except BaseException:  # this task is told to stop
            self._cancel(job_id, log)
            raise

    def _cancel(self, job_id: str, log: Log) -> None:
        try:
            self.jobs.cancel(job_id)
        except CloudError as error:  # what stops this task is what is told
            log(f"job {job_id} could not be cancelled: {error.reason}")


def job_of(folder: Path, task_id: str) -> str | None:
    """
    The job that a task is at, or was last.

    :param folder: Where the folders of the cluster's jobs are.
    """
    found = state.read(_folder_of(folder, task_id) / "current.json")
    return None if found is None else str(found["id"])


def parcel_of(folder: Path) -> Path:
    """
    The part of this package that a job runs by, in the lake beside the jobs of its cluster, with which it is removed.

    :param folder: The job's folder.
    """
    return parcel(folder.absolute().parents[1])


def _folder_of(folder: Path, task_id: str) -> Path:
    return folder / hashlib.sha256(task_id.encode()).hexdigest()[:10]


def remove_jobs(folder: Path) -> None:
    """Remove the folders of all jobs of a cluster that has ended."""
    shutil.rmtree(folder, ignore_errors=True)


def _is_answered(folder: Path) -> bool:
    return (folder / "answer.json").exists()


def _asked(job: Document) -> str:
    """What a job is asked to do, whichever try asks."""
    asked = [job["kind"], job["arguments"], job["environment"].get("python")]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _lost(job_id: str, cluster: str, folder: Path, view: JobView, hint: str | None) -> Interrupted:
    how = "is not known to the cloud" if view.state is None else f"has {view.state}"
    because = f": {view.reason}" if view.reason else ""
    return Interrupted(
        f"job `{job_id}` on cluster `{cluster}` {how}, and there is no answer of it in `{folder}`{because}", hint=hint
    )
