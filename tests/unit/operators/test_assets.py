"""The assets that operators announce, and the facts of their events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG, Asset

from airflow_wall.operators.assets import lake_name, plain
from airflow_wall.operators.check_integrity import CheckIntegrityOperator
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.retrain import RetrainOperator
from airflow_wall.operators.start_sender import StartSenderOperator
from airflow_wall.operators.stop_sender import StopSenderOperator

CHECKS = [{"row_count": {"min": 1}}]


@pytest.fixture
def dag() -> DAG:
    arguments = {"project": "/srv", "storage": "/srv/lakes/main"}
    return DAG("python", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), default_args=arguments)


def names(task: Any) -> list[str]:
    return [asset.name for asset in task.outlets]


@pytest.mark.parametrize(
    ("storage", "project", "name"),
    [
        (None, None, "lake"),
        ("./lake", "/srv", "lake"),
        ("/srv/lakes/main", "/srv", "lakes/main"),
        ("/mnt/lake", "/srv", "/mnt/lake"),
        ("s3://team/lake/", "/srv", "s3://team/lake"),
    ],
)
def test_a_lake_is_named_relative_to_its_project(storage: str | None, project: str | None, name: str) -> None:
    assert lake_name(storage, project) == name
    assert Asset(f"{name}/gold/scores").uri == f"{name}/gold/scores"


def test_the_last_check_announces_the_table_instead_of_its_writer(dag: DAG) -> None:
    load = IngestOperator(task_id="load", source="landing", target="bronze/a", dag=dag)
    assert names(load) == ["lakes/main/bronze/a"]
    loose = CheckIntegrityOperator(task_id="loose", table="bronze/a", checks=CHECKS, gate=False, dag=dag)
    assert (names(load), names(loose)) == (["lakes/main/bronze/a"], [])
    first = CheckIntegrityOperator(task_id="first", table="bronze/a", checks=CHECKS, dag=dag)
    second = CheckIntegrityOperator(task_id="second", table="bronze/a", checks=CHECKS, dag=dag)
    assert (names(load), names(first), names(second)) == ([], [], ["lakes/main/bronze/a"])


def test_a_release_is_announced_by_the_task_that_commits_it(dag: DAG) -> None:
    stop = StopSenderOperator(task_id="stop", release="start", dag=dag)
    start = StartSenderOperator(task_id="start", release="shop", dag=dag)
    assert (names(start), names(stop)) == ([], ["lakes/main/release:shop"])


def test_own_outlets_stay_and_names_in_templates_are_left_out(dag: DAG) -> None:
    load = IngestOperator(task_id="load", source="landing", target="bronze/{{ ds }}", outlets=[Asset("mine")], dag=dag)
    load.add_outlets([Asset("other")])
    assert names(load) == ["mine", "other"]


def test_a_model_that_waits_for_an_approval_is_announced_later(dag: DAG) -> None:
    arguments: dict[str, Any] = {"entrypoint": "m:train", "inputs": {"x": "a"}, "model": "shop", "dag": dag}
    assert names(RetrainOperator(task_id="now", **arguments)) == ["lakes/main/model:shop"]
    assert names(RetrainOperator(task_id="later", approve=True, **arguments)) == []


def test_facts_are_plain_finite_and_bounded() -> None:
    value = {
        "n": np.int64(3),
        "x": float("nan"),
        "y": np.float32(0.5),
        "l": list(range(100)),
        "t": "a" * 9999,
        "o": dag,
    }
    facts = plain(value)
    assert (facts["n"], facts["x"], facts["y"]) == (3, None, 0.5)
    assert type(facts["n"]) is int
    assert (len(facts["l"]), len(facts["t"])) == (20, 500)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
