"""The bundle of the DAGs that come with this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

import airflow_wall


class UpkeepBundle(LocalDagBundle):
    """
    The DAGs that come with airflow-wall, as a DAG bundle: `wall_reaper`, if `[wall] reap` is set, and `wall_upkeep`, if
    `[wall] lakes` is set.

    In `[dag_processor] dag_bundle_config_list`, beside that of the pipelines::

        {"name": "upkeep", "classpath": "airflow_wall.bundles.UpkeepBundle", "kwargs": {}}
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(path=str(Path(airflow_wall.__file__).parent / "dags"), **kwargs)
