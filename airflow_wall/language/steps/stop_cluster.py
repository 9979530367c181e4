"""The step `stop_cluster`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.steps.base import Deferrable, Step, TaskId


class StopCluster(Step):
    """Stop the cluster, even if tasks that used it failed."""

    task_fields: ClassVar[dict[str, str]] = {"cluster": "start_cluster"}
    closes: ClassVar[str | None] = "cluster"

    cluster: TaskId | None = Field(None, description="The `start_cluster` task; by default the only one there is.")
    deferrable: Deferrable = True
