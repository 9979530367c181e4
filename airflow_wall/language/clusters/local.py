"""The cluster `local`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.diagnostics.patterns import MEMORY_PATTERN
from airflow_wall.language.base import Positive
from airflow_wall.language.clusters.base import ClusterConfig
from airflow_wall.language.environment import KEYS
from airflow_wall.text.kinds import Plain


class LocalClusterConfig(ClusterConfig):
    """Processes on the worker's own machine."""

    environments: ClassVar[tuple[str, ...]] = KEYS
    stop_may_fail: ClassVar[bool] = False

    type: Plain[Literal["local"]] = Field(description="The kind of cluster.")
    threads: Positive = Field(2, description="The most threads of one job.")
    memory: Plain[str] = Field("2GB", pattern=MEMORY_PATTERN, description="The most memory of one job's engine.")
