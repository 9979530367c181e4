"""The environment of a step that computes, in a DAG written in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_wall.environments.backends import ENVIRONMENTS, open_environment
from airflow_wall.environments.image import ImageEnvironment
from airflow_wall.environments.interpreter import PythonEnvironment
from airflow_wall.environments.venv import VenvEnvironment
from airflow_wall.errors import EnvironmentFault
from airflow_wall.language.environment import KEYS
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.predict import PredictOperator
from airflow_wall.operators.retrain import RetrainOperator
from airflow_wall.operators.transform import TransformOperator

KINDS = [
    (IngestOperator, {"source": "a", "target": "b/a"}),
    (TransformOperator, {"inputs": {"raw": "b/a"}, "target": "s/a", "sql": "select 1"}),
    (RetrainOperator, {"entrypoint": "a:b", "inputs": {"raw": "b/a"}, "model": "m"}),
    (PredictOperator, {"model": "m", "inputs": {"raw": "b/a"}, "target": "g/a"}),
]


@pytest.mark.parametrize(("operator", "arguments"), KINDS)
def test_operator_takes_what_the_step_takes(
    operator: Any, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__WALL__VENV_CACHE", "/var/cache/wall")
    asked = operator(task_id="t", requirements=["six"], python="3.12", **arguments).environment()
    assert asked == {"requirements": ["six"], "python": "3.12", "venv_cache": "/var/cache/wall"}
    assert operator(task_id="t", **arguments).environment() == {}
    assert operator(task_id="t", requirements=[], **arguments).environment() == {}


def test_every_key_of_the_language_has_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert set(ENVIRONMENTS) == set(KEYS)
    assert isinstance(open_environment({"requirements": ["six"], "python": "/usr/bin/python3"}), VenvEnvironment)
    assert isinstance(open_environment({"python": "/usr/bin/python3"}), PythonEnvironment)
    assert isinstance(open_environment({"image": "a"}), ImageEnvironment)


def test_image_beside_requirements_is_refused() -> None:
    with pytest.raises(EnvironmentFault) as error:
        open_environment({"image": "a", "requirements": ["six"]})
    assert str(error.value) == (
        "`image` cannot be combined with `requirements`\n\n"
        "hint: remove `requirements`, and install what the code needs into the image"
    )


def test_policy_decides_which_own_classes_a_model_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = RetrainOperator(task_id="fit", entrypoint="shop:train", inputs={"rows": "silver/rows"}, model="m")
    assert operator.own_types() == ["*"]
    monkeypatch.setenv("AIRFLOW__WALL__POLICY", "restricted")
    assert operator.own_types() == []
    monkeypatch.setenv("AIRFLOW__WALL__ALLOWED_ENTRYPOINTS", "shop:train,models.*")
    assert operator.own_types() == ["shop.train", "models.*"]
