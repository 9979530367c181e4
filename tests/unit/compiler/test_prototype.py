"""A copy of the prototype is the operator that its constructor makes, attribute by attribute, for every step."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup

from airflow_wall.compiler.prototype import Prototype
from airflow_wall.compiler.steps import OPERATORS
from airflow_wall.operators.base import StepOperator


def failed(_context: Any) -> None:
    """What is called when a task has failed."""


SETTINGS: dict[str, Any] = {
    "owner": "analytics",
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "params": {"depth": 3},
    "executor_config": {"a": 1},
    "on_failure_callback": [failed],
    "execution_timeout": timedelta(hours=1),
    "trigger_rule": "all_done",
}


def required(kind: type[StepOperator]) -> dict[str, Any]:
    """A value for every field that has no default."""
    parameters = (
        parameter
        for each in kind.__mro__[: kind.__mro__.index(StepOperator)]
        if "__init__" in vars(each)
        for parameter in inspect.signature(vars(each)["__init__"]).parameters.values()
    )
    return {
        each.name: f"a value for {each.name}"
        for each in parameters
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    }


def of(dag: DAG) -> tuple[dict[str, Any], list[str], list[str]]:
    """What there is to know of the only task of a DAG, and the ids that DAG and group know it by."""
    (task,) = dag.tasks
    state = {name: value for name, value in vars(task).items() if name not in ("_dag", "task_group")}
    assert task.dag is dag
    assert task.task_group is dag.task_group.children["group"]
    given = {name: value for name, value in state.pop("_BaseOperator__init_kwargs").items() if name != "task_group"}
    return {**state, "given": given}, [*dag.task_dict], [*dag.task_group.children["group"].children]


@pytest.mark.parametrize("settings", [{}, SETTINGS], ids=["without settings", "with settings"])
@pytest.mark.parametrize("kind", OPERATORS.values(), ids=OPERATORS)
def test_it_is_what_the_constructor_makes(kind: type[StepOperator], settings: dict[str, Any]) -> None:
    fields = {**required(kind), "code": "/srv/dags", "place": "a.yaml:3"}
    made, copied = DAG("a", schedule=None), DAG("a", schedule=None)
    one = kind(task_id="task", task_group=TaskGroup("group", dag=made), **settings, **fields)
    one.dag = made
    group = TaskGroup("group", dag=copied)
    Prototype(settings).operator(kind, "task", copied, group, fields)
    assert of(copied) == of(made)


def test_nothing_of_one_copy_is_anothers() -> None:
    dag = DAG("a", schedule=None)
    prototype = Prototype(SETTINGS)
    kind = OPERATORS["get_credentials"]
    first, second = (
        prototype.operator(kind, name, dag, dag.task_group, {"conn_id": "platform"}) for name in ("first", "second")
    )
    for name, value in vars(first).items():
        if isinstance(value, list | dict | set):
            assert value is not getattr(second, name), name
    first.params["depth"] = 4
    first.upstream_task_ids.add("zero")
    assert (second.params["depth"], second.upstream_task_ids) == (3, set())
