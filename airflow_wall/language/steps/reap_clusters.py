"""The step `reap_clusters`."""

from __future__ import annotations

from pydantic import Field

from airflow_wall.language.cluster_registry import AnyClusterPlace
from airflow_wall.language.steps.base import Step


class ReapClusters(Step):
    """End abandoned clusters: their run has ended, or their lease has expired."""

    clusters: list[AnyClusterPlace] = Field(
        min_length=1, description="Places to look for clusters: each cloud, region and connection."
    )
