"""
The DAG `wall_upkeep`: it keeps the history of lakes where the page in Airflow reads it.

It exists if `[wall] lakes` lists them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk import DAG

from airflow_wall.operators.roll_up import RollUpOperator
from airflow_wall.settings import SECTION, Settings

EVERY = timedelta(minutes=10)
"""Time between two runs, and so about the age of what the page shows."""


def upkeep(lakes: list[str], project: Path) -> DAG:
    """Return the DAG that writes the history of these lakes."""
    with DAG(
        "wall_upkeep",
        description="Keeps the history of lakes for the page of airflow-wall.",
        start_date=datetime(2024, 1, 1),
        schedule=EVERY,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=["airflow-wall"],
        doc_md=__doc__,
    ) as dag:
        for number, lake in enumerate(lakes, start=1):
            RollUpOperator(
                task_id=f"roll_up_{number}",
                storage=str(project / lake) if "://" not in lake else lake,
                project=str(project),
                retries=2,
                retry_delay=timedelta(seconds=30),
            )
    return dag


def _project() -> Path:
    configured = conf.get(SECTION, "project", fallback=None)
    settings = Settings(project=Path(configured) if configured else None)
    return settings.project_of(Path(conf.get("core", "dags_folder")) / "dag.py")


if _lakes := [lake.strip() for lake in conf.get(SECTION, "lakes", fallback="").split(",") if lake.strip()]:
    dag = upkeep(_lakes, _project())
