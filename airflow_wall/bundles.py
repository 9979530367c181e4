"""DAG bundles, for `[dag_processor] dag_bundle_config_list`."""

from __future__ import annotations

from airflow_wall.fronts.bundle import PipelineBundle
from airflow_wall.fronts.upkeep import UpkeepBundle

__all__ = ["PipelineBundle", "UpkeepBundle"]
