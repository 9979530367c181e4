"""A copy of the prototype is the operator that its constructor makes, attribute by attribute."""

from __future__ import annotations

import importlib
import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup
from airflow.serialization.serialized_objects import DagSerialization

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
    Prototype({**kind.usual, **settings}).step(kind, "task", copied, group, fields)  # as the compiler does
    assert of(copied) == of(made)


def test_nothing_of_one_copy_is_anothers() -> None:
    dag = DAG("a", schedule=None)
    prototype = Prototype(SETTINGS)
    kind = OPERATORS["get_credentials"]
    first, second = (
        prototype.step(kind, name, dag, dag.task_group, {"conn_id": "platform"}) for name in ("first", "second")
    )
    for name, value in vars(first).items():
        if isinstance(value, list | dict | set):
            assert value is not getattr(second, name), name
    first.params["depth"] = 4
    first.upstream_task_ids.add("zero")
    assert (second.params["depth"], second.upstream_task_ids) == (3, set())


class Converting(BaseOperator):
    """An operator that does something when an attribute of every operator is set."""

    def __init__(self, *, depth: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth

    @property
    def pool(self) -> str:
        """Where it runs."""
        return self._pool.upper()

    @pool.setter
    def pool(self, value: str) -> None:
        self._pool = value


class Opinionated(BaseOperator):
    """An operator that gives `BaseOperator` other settings than it was given, and remembers the way there."""

    def __init__(self, *, retries: int = 7, **kwargs: Any) -> None:
        self.before = sorted(kwargs)
        super().__init__(retries=retries + 1, trigger_rule="all_done", **kwargs)
        self.named = f"{type(self).__name__} of {self.dag.dag_id}: {self.task_id}"


class Direct(BaseOperator):
    """An operator that names its base where others say `super()`."""

    def __init__(self, **kwargs: Any) -> None:
        BaseOperator.__init__(self, **kwargs)


def nothing() -> None:
    """A function for Python operators."""


STANDARD = "airflow.providers.standard"
OTHERS: dict[str, dict[str, Any]] = {
    f"{STANDARD}.operators.bash.BashOperator": {"bash_command": "echo {{ ds }}", "env": {"A": "b"}},
    f"{STANDARD}.operators.empty.EmptyOperator": {},
    f"{STANDARD}.operators.latest_only.LatestOnlyOperator": {},
    f"{STANDARD}.operators.python.PythonOperator": {"python_callable": nothing, "op_kwargs": {"a": 1}},
    f"{STANDARD}.operators.python.ShortCircuitOperator": {"python_callable": nothing},
    f"{STANDARD}.operators.python.BranchPythonOperator": {"python_callable": nothing},
    f"{STANDARD}.operators.python.PythonVirtualenvOperator": {"python_callable": nothing, "requirements": ["a"]},
    f"{STANDARD}.operators.trigger_dagrun.TriggerDagRunOperator": {"trigger_dag_id": "b"},
    f"{STANDARD}.operators.hitl.ApprovalOperator": {"subject": "go on?"},
    f"{STANDARD}.sensors.bash.BashSensor": {"bash_command": "true", "mode": "reschedule"},
    f"{STANDARD}.sensors.date_time.DateTimeSensor": {"target_time": "2013-01-01T00:00:00+00:00"},
    f"{STANDARD}.sensors.external_task.ExternalTaskSensor": {"external_dag_id": "b", "external_task_id": "c"},
    f"{STANDARD}.sensors.filesystem.FileSensor": {"filepath": "a", "deferrable": True},
    f"{STANDARD}.sensors.time_delta.TimeDeltaSensor": {"delta": timedelta(hours=1)},
    "airflow.providers.common.io.operators.file_transfer.FileTransferOperator": {"src": "a", "dst": "b"},
    "airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator": {"sql": "SELECT 1", "conn_id": "c"},
    "airflow.providers.common.sql.operators.sql.SQLColumnCheckOperator": {
        "table": "t", "conn_id": "c", "column_mapping": {"a": {"null_check": {"equal_to": 0}}},
    },
    "airflow.providers.common.sql.sensors.sql.SqlSensor": {"sql": "SELECT 1", "conn_id": "c"},
    "airflow.providers.http.operators.http.HttpOperator": {"endpoint": "a", "headers": {"a": "b"}},
    "airflow.providers.http.sensors.http.HttpSensor": {"endpoint": "a"},
    "airflow.providers.slack.operators.slack.SlackAPIPostOperator": {"text": "a"},
    "airflow.providers.smtp.operators.smtp.EmailOperator": {"to": "a@example.com", "subject": "a", "html_content": "a"},
    f"{__name__}.Converting": {"depth": 3},
    f"{__name__}.Opinionated": {},
    f"{__name__}.Direct": {},
}  # fmt: skip


@pytest.mark.parametrize("own", [{}, {"retries": 5, "pool": "narrow"}], ids=["usual", "settings of its own"])
@pytest.mark.parametrize("path", OTHERS)
def test_any_operator_is_what_its_constructor_makes(path: str, own: dict[str, Any]) -> None:
    module, _, name = path.rpartition(".")
    kind = globals()[name] if module == __name__ else getattr(importlib.import_module(module), name)
    usual = {"owner": "analytics", "retries": 2, "retry_delay": timedelta(minutes=5)}
    dags = [DAG("a", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), default_args=usual) for _ in range(2)]
    for dag, make in zip(dags, (lambda kind, **given: kind(**given), Prototype(usual).operator), strict=True):
        group = TaskGroup("group", dag=dag)
        for task_id in ("first", "second"):
            make(kind, task_id=task_id, dag=dag, task_group=group, **own, **OTHERS[path])
    made, copied = (DagSerialization.to_dict(dag) for dag in dags)
    assert copied == made
    for one, other in zip(dags[0].tasks, dags[1].tasks, strict=True):
        assert type(one) is type(other) is kind
        assert vars(one).keys() == vars(other).keys()
        assert [str(getattr(one, each)) for each in one.template_fields] == [
            str(getattr(other, each)) for each in other.template_fields
        ]


def test_a_copy_is_made_where_nothing_speaks_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    laid = []
    monkeypatch.setattr(Prototype, "lay", lambda _self, operator, *_: laid.append(type(operator).__name__))
    for kind in (Opinionated, Direct, Converting):
        Prototype({}).operator(kind, task_id="a", dag=(dag := DAG("a", schedule=None)), task_group=dag.task_group)
    assert laid == []
    Prototype({}).operator(EmptyOperator, task_id="a", dag=dag, task_group=dag.task_group)
    assert laid == ["EmptyOperator"]
