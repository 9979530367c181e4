"""
The DAG `wall_reaper` of Airflow: it ends the clusters that nobody will stop any more.

It is there where `[wall] reap` says where to look. It needs no file of a pipeline, so clusters are ended whose pipeline
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
from airflow_wall.operators.reap_clusters import ReapClustersOperator
from airflow_wall.settings import SECTION
from airflow_wall.spec.steps.cluster import Place

EVERY = timedelta(minutes=10)
"""How often it looks, and so about how much longer than its run a cluster lives that was not stopped."""


def places_of(text: str | None) -> list[dict[str, Any]]:
    """
    Where to look, from the setting `[wall] reap`.

    :raises SettingsError: it is not what `reap_clusters` takes under `clusters`, as JSON.
    """
    try:
        found = TypeAdapter(list[Place]).validate_python(json.loads(text or "[]"))
    except (ValueError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"`{'.'.join(str(each) for each in first['loc'])}`: {first['msg']}" if first else str(error)
        raise SettingsError(
            f"`[{SECTION}] reap` is no JSON list of places: {said}",
            hint='write e.g. [{"type": "emr", "region": "eu-central-1", "conn_id": "aws_lake"}]',
        ) from None
    return [place.model_dump(exclude_none=True) for place in found]


def reaper(places: list[dict[str, Any]]) -> DAG:
    """The DAG that looks in these places."""
    with DAG(
        "wall_reaper",
        description="Ends clusters whose run is over, or whose time to live is.",
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
