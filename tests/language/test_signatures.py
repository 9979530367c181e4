"""Every argument of Airflow's classes has a key or a line that says why not; none of both is stale."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import airflow
import pytest
from packaging.version import Version

from airflow_wall.language import native, refused
from airflow_wall.language.base import SpecModel
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.pipeline import Group, Head, Task

HERE = Path(__file__).parent
INSTALLED: dict[str, list[str]] = runpy.run_path(str(HERE / "signatures.py"))["installed"]()
RECORDED: dict[str, dict[str, list[str]]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((HERE / "signatures").glob("*.json"))
}
AIRFLOWS = {**RECORDED, airflow.__version__: INSTALLED}

MODELS: dict[str, type[SpecModel]] = {"DAG": Head, "BaseOperator": Task, "TaskGroup": Group}
TABLES = {"DAG": refused.DAG, "BaseOperator": refused.OPERATOR, "TaskGroup": refused.GROUP}
OWN = {
    "DAG": {"timezone", "storage", "notify", "requirements", "python", "image"},
    "BaseOperator": {
        "id",
        "uses",
        "run",
        "with",
        "needs",
        "extends",
        "matrix",
        "expand",
        "expand_kwargs",
        "setup",
        "teardown",
        "on_failure_fail_dagrun",
    },
    "TaskGroup": {"id", "tasks", "needs", "matrix"},
}
"""Our keys that are arguments of the class in no version of Airflow."""


def keys(name: str) -> set[str]:
    return {info.alias or field for field, info in MODELS[name].model_fields.items()}


@pytest.mark.parametrize("version", AIRFLOWS)
@pytest.mark.parametrize("name", MODELS)
def test_every_argument_has_a_key_or_a_line_that_says_why_not(version: str, name: str) -> None:
    assert set(AIRFLOWS[version][name]) - keys(name) - set(TABLES[name]) == set()


@pytest.mark.parametrize("name", MODELS)
def test_no_line_and_no_key_is_stale(name: str) -> None:
    arguments = {argument for signatures in AIRFLOWS.values() for argument in signatures[name]}
    assert set(TABLES[name]) - arguments == set()
    assert set(TABLES[name]) & keys(name) == set()
    assert keys(name) - arguments == OWN[name]


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("name", MODELS)
def test_a_key_that_an_airflow_lacks_says_which_airflow_has_it(version: str, name: str) -> None:
    lacking = keys(name) - OWN[name] - set(AIRFLOWS[version][name])
    newer = {key for key, since in refused.SINCE[name].items() if Version(version) < Version(since)}
    assert lacking == newer


def test_airflows_own_format_takes_what_its_classes_take() -> None:
    taken = {name: {argument for signatures in AIRFLOWS.values() for argument in signatures[name]} for name in MODELS}
    of_dag = native.DAG_ARGUMENTS | native.DAG_DEFERRED | {"dag_id", "schedule", "default_args"}
    assert of_dag == taken["DAG"] | {"dag_id"}
    assert taken["BaseOperator"] == native.TASK_ARGUMENTS | native.TASK_DEFERRED | native.RESERVED


def test_default_args_take_what_tasks_take() -> None:
    assert set(OperatorArguments.model_fields) <= set(Task.model_fields)


def test_a_line_is_one_sentence() -> None:
    for table in TABLES.values():
        for line in table.values():
            assert "\n" not in line
            assert not line.endswith(".")
