"""The step `start_cluster`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.cluster_registry import AnyCluster
from airflow_wall.language.steps.base import Deferrable, Step


class StartCluster(Step):
    """Start a cluster for this run."""

    closed_by: ClassVar[str | None] = "stop_cluster"

    cluster: AnyCluster = Field(description="The cluster to start, by `type` and size.")
    deferrable: Deferrable = True
