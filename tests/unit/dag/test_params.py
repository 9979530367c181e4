"""Params as Airflow has them after it has written a DAG to its database and read it again."""

from __future__ import annotations

from pathlib import Path

from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

PIPELINE = """\
dag_id: scores
schedule: "@daily"
params:
  bare: 3
  nothing:
  days: [1, 2]
  region: {type: string, enum: [eu, us], default: eu, title: Region, description: Where.}
  options: {type: object, default: {a: 1}}
tasks:
  - id: a
"""


def test_params_reach_the_stored_dag(tmp_path: Path) -> None:
    (tmp_path / "scores.yaml").write_text(PIPELINE)
    (dag,) = load_dags(tmp_path, Settings()).values()
    params = DagSerialization.from_dict(DagSerialization.to_dict(dag)).params
    assert params.validate() == {"bare": 3, "nothing": None, "days": [1, 2], "region": "eu", "options": {"a": 1}}
    region = params.get_param("region")
    assert (region.schema, region.description) == (
        {"type": "string", "enum": ["eu", "us"], "title": "Region"},
        "Where.",
    )


def test_a_run_by_hand_may_need_a_value(tmp_path: Path) -> None:
    text = PIPELINE.replace('schedule: "@daily"\n', "").replace("default: eu, ", "")
    (tmp_path / "scores.yaml").write_text(text)
    (dag,) = load_dags(tmp_path, Settings()).values()
    assert not dag.params.get_param("region").has_value


def test_a_run_does_not_match_a_slow_pattern_with_a_text_above_its_bound(tmp_path: Path) -> None:
    text = PIPELINE.replace("enum: [eu, us]", 'pattern: "x*y", maxLength: 100').replace("default: eu", "default: y")
    (tmp_path / "scores.yaml").write_text(text)
    (dag,) = load_dags(tmp_path, Settings()).values()
    schema = DagSerialization.from_dict(DagSerialization.to_dict(dag)).params.get_param("region").schema
    assert schema["allOf"] == [{"if": {"maxLength": 100}, "then": {"pattern": "x*y"}}]
    assert "pattern" not in schema
