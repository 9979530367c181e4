"""From a YAML file to a production pipeline: an Apache Airflow provider and DAG factory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_wall.errors import WallError
    from airflow_wall.fronts.folder import load_dags
    from airflow_wall.models.base import Trained
    from airflow_wall.notebook import load_model, read_table

__version__ = "0.1.0"
__all__ = ["Trained", "WallError", "__version__", "load_dags", "load_model", "read_table"]

_HOME = {
    "Trained": "airflow_wall.models.base",
    "WallError": "airflow_wall.errors",
    "load_dags": "airflow_wall.fronts.folder",
    "load_model": "airflow_wall.notebook",
    "read_table": "airflow_wall.notebook",
}


def __getattr__(name: str) -> Any:
    # The command line and jobs on a cluster import this package too, and must not pay for importing Airflow.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
