"""
The DAG `wall_reaper`: it ends clusters that no task will stop.

It exists if `[wall] reap` lists the places to check. It needs no pipeline file, so it also ends clusters whose pipeline
was edited, removed or broken.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from airflow.configuration import conf
from airflow.sdk import DAG
from pydantic import TypeAdapter, ValidationError

from airflow_wall.errors import SettingsError
from airflow_wall.language.cluster_registry import AnyClusterPlace
from airflow_wall.operators.reap_clusters import ReapClustersOperator
from airflow_wall.settings import SECTION

EVERY = timedelta(minutes=10)
"""Time between two runs, and so about the longest time that an unstopped cluster outlives its run."""


def places_of(text: str | None) -> list[dict[str, Any]]:
    """
    Return the places to check, from the setting `[wall] reap`.

    :raises SettingsError: the setting is not a JSON list in the format of `clusters` of `reap_clusters`.
    """
    try:
        places = TypeAdapter(list[AnyClusterPlace]).validate_python(json.loads(text or "[]"))
    except (ValueError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}" if first else str(error)
        raise SettingsError(
            f"`[{SECTION}] reap` must be a JSON list of places: {reason}",
            hint='write e.g. [{"type": "emr", "region": "eu-central-1", "conn_id": "aws_lake"}]',
        ) from None
    return [place.model_dump(exclude_none=True) for place in places]


def reaper(places: list[dict[str, Any]]) -> DAG:
    """Return the DAG that ends clusters in these places."""
    with DAG(
        "wall_reaper",
        description="Ends clusters whose run is over or whose lease has ended.",
        start_date=datetime(2024, 1, 1),
        schedule=EVERY,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=["airflow-wall"],
        doc_md=__doc__,
    ) as dag:
        ReapClustersOperator(task_id="reap", clusters=places, retries=2, retry_delay=timedelta(seconds=30))
    return dag


if _places := places_of(conf.get(SECTION, "reap", fallback=None)):
    dag = reaper(_places)
