"""What a kind of cluster can do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

Document = Mapping[str, Any]
Log = Callable[[str], None]


class Cluster(Protocol):
    """
    One cluster, known by a name that is computed from the run: who stops it needs no message from who started it.

    Every call may be repeated.
    """

    name: str

    def ensure(self) -> dict[str, Any]:
        """Have the cluster: adopt the one of this name, or create it. Return what the UI shows of it, JSON values."""

    def run(self, job: Document, connections: Mapping[str, Document], log: Log) -> dict[str, Any]:
        """
        Run a job document to its end and return its result.

        :param connections: The connections the job may read, by id.
        :param log: Is given each log line of the job.
        :raises ClusterError: the cluster is not running.
        :raises Interrupted: the job's process died.
        """

    def delete(self) -> bool:
        """Stop the cluster. Return whether there was one."""


def cluster_name(pipeline: str, run_id: str, task_id: str) -> str:
    """The name of the cluster that a task of a run starts: letters, digits and `-`, at most 54, as clouds ask."""
    digest = hashlib.sha256("\n".join((pipeline, run_id, task_id)).encode()).hexdigest()[:12]
    readable = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:36] or "run"
    return f"wall-{readable}-{digest}"
