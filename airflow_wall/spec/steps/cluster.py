"""The steps around compute: `get_credentials`, `start_cluster`, `stop_cluster`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.spec.base import MEMORY_PATTERN, Positive, SpecModel
from airflow_wall.spec.steps.base import Step, TaskId, Text


class GetCredentials(Step):
    """Prove that a connection can be used, before anything is started that needs it."""

    conn_id: Text = Field(description="The Airflow connection.")


class LocalCluster(SpecModel):
    """Processes on the worker's own machine."""

    type: Literal["local"] = Field(description="The kind of cluster.")
    threads: Positive = Field(2, description="How many threads one job may use.")
    memory: str = Field("2GB", pattern=MEMORY_PATTERN, description="How much memory the engine of one job may use.")


class StartCluster(Step):
    """Have a cluster for this run."""

    cluster: LocalCluster = Field(description="What to start, by `type` and size.")


class StopCluster(Step):
    """Stop the cluster, whatever happened in between."""

    task_fields: ClassVar[dict[str, str]] = {"cluster": "start_cluster"}
    closes: ClassVar[str | None] = "cluster"

    cluster: TaskId | None = Field(None, description="The `start_cluster` task; by default the only one there is.")
