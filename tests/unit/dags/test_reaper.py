"""The built-in reaper DAG."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta
from types import ModuleType

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_wall.bundles import UpkeepBundle
from airflow_wall.dags import reaper
from airflow_wall.errors import SettingsError

PLACE = {"type": "emr", "region": "eu-central-1", "conn_id": "aws_lake"}


@pytest.fixture
def with_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__WALL__REAP", json.dumps([PLACE]))


def reloaded() -> ModuleType:
    vars(reaper).pop("dag", None)
    return importlib.reload(reaper)


def test_there_is_none_where_nobody_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__WALL__REAP", raising=False)
    assert not hasattr(reloaded(), "dag")


def test_it_looks_where_the_setting_says_and_is_not_paused(with_places: None) -> None:
    dag = reloaded().dag
    assert (dag.dag_id, dag.schedule, dag.max_active_runs) == ("wall_reaper", timedelta(minutes=10), 1)
    assert dag.is_paused_upon_creation is False
    assert dag.task_dict["reap"].clusters == [PLACE]


def test_its_bundle_shows_it_to_airflow_and_nothing_else(with_places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")  # Airflow 3.2 adds them to every bag
    bundle = UpkeepBundle(name="upkeep")
    bag = DagBag(bundle.path, bundle_path=bundle.path, bundle_name="upkeep")
    assert not bag.import_errors
    assert set(bag.dags) == {"wall_reaper"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("emr", "Expecting value"),
        ('{"type": "emr"}', "valid list"),
        ('[{"type": "emr"}]', "`0.region`: Field required"),
        ('[{"type": "emr", "region": "r", "zone": "z"}]', "`0.zone`"),
    ],
)
def test_invalid_setting_is_reported(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=r"`\[wall\] reap` must be a JSON list of places") as raised:
        reaper.places_of(text)
    assert reason in str(raised.value)
