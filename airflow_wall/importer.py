"""DAG importers, for `[dag_processor] dag_importer_configs` of Airflow 3.4 and later."""

from __future__ import annotations

from airflow_wall.fronts.importer import WallImporter

__all__ = ["WallImporter"]
