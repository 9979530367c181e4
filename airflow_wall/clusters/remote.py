"""
Jobs on a cluster in a cloud: submitted once, resumed by the next try, with the answer read from the lake.

A job is a directory in the lake with `request.json`; the job itself writes `log` and `answer.json` there. One document
names the current job of a task. It is written before the job is submitted, so if a try is killed at any point, the next
one finds the same job. A job claims its directory when it starts, so of two copies only one runs.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from airflow_wall import state
from airflow_wall.clusters.base import Awaited, Clock, ClusterSite, Document, Event, HandedOver, JobState, Log
from airflow_wall.clusters.cloud import CloudError, CloudFault
from airflow_wall.clusters.cluster_claim import replace_document
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.environments.answers import result_of
from airflow_wall.environments.tail import Tail
from airflow_wall.environments.zipapp import parcel
from airflow_wall.errors import ClusterError, Interrupted

POLL = 5.0
"""Seconds between two checks of a job."""

LATE = timedelta(seconds=60)
"""Longest time until the answer of an ended job appears in the lake."""

PATIENCE = timedelta(minutes=5)
"""Longest time without an answer of the cloud before the try fails. The job goes on."""

_MOUNT = (
    "`storage` must be a directory that the worker and the cluster both mount at the same path, and `cluster.python` "
    "must have the packages that jobs need; see docs/guides/clusters.md"
)


@dataclass(frozen=True)
class JobView:
    """
    The state of a job in its cloud.

    :param state: None if the cloud has no such job.
    :param reason: The cloud's message about its failure.
    """

    state: JobState | None
    reason: str = ""


class RemoteJobs(Protocol):
    """The jobs of one cluster, by ids that airflow-wall chooses."""

    def submit(self, job_id: str, folder: Path) -> None:
        """Submit the job in that directory. Do nothing if the cloud already has a job with that id."""

    def look(self, job_id: str) -> JobView:
        """Return the state of the job."""

    def cancel(self, job_id: str) -> None:
        """Cancel the job. Do nothing if it has ended or does not exist."""


class Remote:
    """
    Runs job documents on one cluster.

    :param jobs: The jobs of the cluster.
    :param cluster: The cluster's name.
    :param cluster_id: The cluster's id in the cloud.
    :param folder: Directory in the lake that holds the directories of its jobs.
    :param guard: Called at every check; raises if the cluster may no longer be used.
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
        Run a job document to its end, or resume the job that an earlier try of the task submitted.

        :raises ClusterError: the job cannot run on a cluster in a cloud, or the cluster may no longer be used.
        :raises Interrupted: the job was lost, or the cloud does not answer.
        """
        if job["connections"]:
            names = listed(job["connections"])
            raise ClusterError(
                f"`cluster`: this step reads the connection {names}, and secrets are not sent to a cluster in a cloud",
                hint="remove `cluster` from this step, so that it runs in the worker",
            )
        if not self.clock.note:
            self.guard()  # after a wait `_answer` calls it, and cancels the job
        task = _folder_of(self.folder, job["run"]["task_id"])
        job_id = self._current(task, job, log)
        try:
            answer = self._answer(job_id, task / job_id, log)
        except (CloudError, Interrupted) as error:
            if isinstance(error, CloudError) and error.fault is CloudFault.LATER:
                raise Interrupted(f"job `{job_id}`: the cloud does not answer: {error.reason}") from error
            raise
        state.write(task / "current.json", {"id": job_id, "collected": True})
        return result_of(answer, f"job `{job_id}`")

    # --- which job

    def _current(self, task: Path, job: Document, log: Log) -> str:
        """Return the id of the task's current job, after submitting it if necessary."""
        digest = _request_digest(job)
        path = task / "current.json"
        while True:
            written = state.read(path)
            current = _valid_document(task, written)
            if current is not None and not current.get("collected") and self._resumes(task, current, digest, log):
                return str(current["id"])
            job_id = f"{self.cluster}-{task.name}-{uuid.uuid4().hex[:8]}"
            state.write(task / job_id / "request.json", {"job": dict(job)})
            if replace_document(path, written, {"id": job_id, "asked": digest}):
                self.jobs.submit(job_id, task / job_id)
                log(f"job {job_id} is submitted to cluster {self.cluster}")
                return job_id

    def _resumes(self, task: Path, current: Mapping[str, Any], digest: str, log: Log) -> bool:
        """Return True if the job of an earlier try is the one to run: it runs, has run, or is submitted now."""
        job_id = str(current["id"])
        view = self.jobs.look(job_id)
        if current.get("asked") != digest:  # the task was edited and cleared
            if view.state is JobState.RUNNING:
                self._end(job_id)
            return False
        if view.state is None and not _is_answered(task / job_id):  # recorded, but perhaps not submitted
            self.jobs.submit(job_id, task / job_id)
            return True
        resumes = view.state in (JobState.RUNNING, JobState.SUCCEEDED) or _is_answered(task / job_id)
        if resumes and not self.clock.note:
            log(f"resuming job {job_id}, which an earlier try submitted")
        return resumes

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
                if error.fault is not CloudFault.LATER or self.clock.now() - silent > PATIENCE:
                    raise
                view = JobView(JobState.RUNNING)
            except BaseException:  # this task must stop, or the cluster costs too much
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
                    raise _lost_job_error(job_id, self.cluster, folder, view, hint=_MOUNT if lost else None)
            self._pause(job_id, tail.at, log, long=not (ended or silent))

    def _pause(self, job_id: str, at: int, log: Log, *, long: bool) -> None:
        """Wait before the next check. `long`: the job runs, perhaps for hours."""
        try:
            if long:
                self.clock.wait(POLL, Awaited(Event.DONE, self.cluster_id, job_id, {"log": at}))
            else:
                self.clock.sleep(POLL)
        except HandedOver:
            raise
        except BaseException:  # this task must stop
            self._cancel(job_id, log)
            raise

    def _cancel(self, job_id: str, log: Log) -> None:
        try:
            self.jobs.cancel(job_id)
        except CloudError as error:  # the error that stops this task is the one to report
            log(f"job {job_id} could not be cancelled: {error.reason}")


def job_of(folder: Path, task_id: str) -> str | None:
    """
    Return the id of the current or last job of a task.

    :param folder: Directory that holds the directories of the cluster's jobs.
    """
    task = _folder_of(folder, task_id)
    document = _valid_document(task, state.read(task / "current.json"))
    return None if document is None else str(document["id"])


def parcel_of(folder: Path) -> Path:
    """
    Return the zipapp that runs a job. It is stored in the lake beside the jobs of the cluster and is removed with them.

    :param folder: The job's directory.
    """
    return parcel(folder.absolute().parents[1])


def _folder_of(folder: Path, task_id: str) -> Path:
    return folder / hashlib.sha256(task_id.encode()).hexdigest()[:10]


def remove_jobs(folder: Path, site: ClusterSite) -> None:
    """Remove the directories of all jobs of a cluster that has ended."""
    state.remove_folder(folder, site.state.parent)


def _valid_document(task: Path, document: dict[str, Any] | None) -> dict[str, Any] | None:
    """
    Return the document of a task's current job if its id has the form that this task generates; else None.

    The id decides which job is cancelled and from which directory its answer is read.
    """
    ours = rf"{re.escape(task.parent.name)}-{re.escape(task.name)}-[0-9a-f]{{8}}"
    return document if document is not None and re.fullmatch(ours, str(document.get("id"))) else None


def _is_answered(folder: Path) -> bool:
    return (folder / "answer.json").exists()


def _request_digest(job: Document) -> str:
    """Return a digest of a job's request that is the same in every try."""
    request = [job["kind"], job["arguments"], job["environment"].get("python")]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _lost_job_error(job_id: str, cluster: str, folder: Path, view: JobView, hint: str | None) -> Interrupted:
    outcome = "is not known to the cloud" if view.state is None else f"has {view.state}"
    reason = f": {view.reason}" if view.reason else ""
    return Interrupted(
        f"job `{job_id}` on cluster `{cluster}` {outcome} and left no answer in `{folder}`{reason}", hint=hint
    )
