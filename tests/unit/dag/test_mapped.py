"""Mapped tasks, and what they are once they run."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.errors import SpecError
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"


def build(folder: Path, tasks: str) -> DAG:
    path = folder / "pipeline.yaml"
    path.write_text(f"dag_id: churn\nstart_date: 2024-03-01\ntasks:\n{tasks}")
    (dag,) = load_dags(path, Settings()).values()
    return dag


def tasks_of(dag: DAG, task_id: str, count: int) -> list[Any]:
    """Return the rendered task instances of a mapped task."""
    mapped: Any = dag.get_task(task_id)

    class Instance:
        map_index = 0
        task: Any = None

    found = []
    for index in range(count):
        instance = Instance()
        instance.map_index = index
        context: dict[str, Any] = {"ti": instance, "dag": dag, "dag_run": SimpleNamespace(conf={}), "ds": "2024-03-02"}
        mapped.render_template_fields(context)
        found.append(context["task"])
    return found


def test_values_of_expand_are_literal_unless_marked(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        f"  - id: a\n    uses: {BASH}\n    with: {{cwd: '/{{{{ ds }}}}', env: {{A: {{$t: '{{{{ ds }}}}'}}, B: '{{{{ ds }}}}'}}}}\n"
        "    expand: {bash_command: ['{{ ds }}', {$t: '{{ ds }} run.sh'}]}\n",
    )
    first, second = tasks_of(dag, "a", 2)
    assert (first.bash_command, second.bash_command) == ("{{ ds }}", "2024-03-02 run.sh")
    assert first.env == {"A": "2024-03-02", "B": "{{ ds }}"}
    assert first.cwd == "/{{ ds }}"
    assert DagSerialization.to_dict(dag)


def test_entries_are_literal_unless_marked(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        f"  - id: a\n    uses: {BASH}\n    expand_kwargs:\n      - {{bash_command: '{{{{ ds }}}}', cwd: '{{{{ ds }}}}'}}\n"
        "      - {bash_command: {$t: '{{ ds }}'}, cwd: /tmp}\n",
    )
    first, second = tasks_of(dag, "a", 2)
    assert (first.bash_command, first.cwd) == ("{{ ds }}", "{{ ds }}")
    assert (second.bash_command, second.cwd) == ("2024-03-02", "/tmp")


def test_what_a_task_returned_is_never_filled_in(tmp_path: Path) -> None:
    dag = build(tmp_path, f"  - id: a\n    uses: {BASH}\n    expand_kwargs: {{$x: b}}\n  - id: b\n")
    mapped: Any = dag.get_task("a")
    assert mapped.template_fields == ()
    assert mapped.upstream_task_ids == {"b"}


def test_steps_are_mapped_and_know_their_place(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "  - id: a\n    uses: ingest\n    retries: 3\n    with: {target: bronze/a, share: true}\n    expand: {source: [landing/a, landing/b]}\n",
    )
    first, second = tasks_of(dag, "a", 2)
    assert (first.source, second.source, first.target, first.retries) == ("landing/a", "landing/b", "bronze/a", 3)
    assert second.place == f"{tmp_path}/pipeline.yaml:4"
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("a").is_mapped


def test_a_mapped_wait_is_looked_at_again(tmp_path: Path) -> None:
    dag = build(tmp_path, "  - id: a\n    uses: check_new_data\n    expand: {source: [landing/a, landing/b]}\n")
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("a")._is_sensor


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("expand: {bash_comand: [a]}", "6:14: `tasks[a].expand.bash_comand` is not an argument of `BashOperator`"),
        ("expand: {output_encoding: [{$t: a}], bash_command: [a]}", "6:31: `tasks[a].expand.output_encoding` cannot hold a marker"),
        ("expand: {cwd: [a]}", "`tasks[a].with.bash_command` is missing"),
        ("expand_kwargs: [{bash_command: a, x: b}]", "6:39: `tasks[a].expand_kwargs[0].x` is not an argument of `BashOperator`"),
    ],
)  # fmt: skip
def test_arguments_that_the_operator_does_not_take_are_refused(tmp_path: Path, task: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(tmp_path, f"  - id: a\n    uses: {BASH}\n    {task}\n")
    assert message in str(caught.value)


def test_setup_and_teardown_are_airflows(tmp_path: Path) -> None:
    dag = build(
        tmp_path,
        "  - {id: up, setup: true}\n  - {id: also}\n  - {id: work, needs: [up, also]}\n"
        "  - {id: down, needs: work, teardown: [up, also], on_failure_fail_dagrun: true}\n  - {id: end, teardown: true, needs: down}\n",
    )
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["up", "also"]
    down, end = dag.get_task("down"), dag.get_task("end")
    assert (down.is_teardown, down.on_failure_fail_dagrun, end.is_teardown, end.on_failure_fail_dagrun) == (
        True,
        True,
        True,
        False,
    )
    assert down.upstream_task_ids == {"up", "also", "work"}
    dag.validate_setup_teardown()


def test_airflow_refuses_a_dag_in_which_a_setup_may_fail_before_its_work(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"`tasks\[work\]\.trigger_rule` must be `all_success` right after `up`"):
        build(
            tmp_path,
            "  - {id: up}\n  - {id: work, needs: up, trigger_rule: all_done}\n  - {id: down, needs: work, teardown: up}\n",
        )


PYTHON = "airflow.providers.standard.operators.python.PythonOperator"
TASKS_BY_KEYWORD = f"""\
  - {{id: days, uses: {PYTHON}, with: {{python_callable: {{$import: "helpers:days"}}}}}}
  - id: load
    uses: {PYTHON}
    with: {{python_callable: {{$import: "helpers:load"}}, op_kwargs: {{unit: "{{{{ ds }}}}", at: {{$t: "{{{{ ds }}}}"}}}}}}
    expand: {{op_kwargs: {{region: [north, "{{{{ ds }}}}"], day: DAYS}}}}
    retries: 2
"""


@pytest.fixture
def helpers(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(
        "def days():\n    return [1]\n\n\ndef load(region, day, unit, at):\n    return region, day, unit, at\n"
    )


@pytest.mark.usefixtures("helpers")
def test_keywords_of_a_function_give_each_combination(tmp_path: Path) -> None:
    dag = build(tmp_path, TASKS_BY_KEYWORD.replace("DAYS", "[1, {$t: '{{ ds }}'}]"))
    found = [instance.op_kwargs for instance in tasks_of(dag, "load", 4)]
    shared = {"unit": "{{ ds }}", "at": "2024-03-02"}
    assert found == [
        {"region": region, "day": day, **shared} for region in ("north", "{{ ds }}") for day in (1, "2024-03-02")
    ]
    assert dag.get_task("load").retries == 2
    assert DagSerialization.to_dict(dag)


@pytest.mark.usefixtures("helpers")
def test_keyword_of_a_function_takes_what_a_task_returns(tmp_path: Path) -> None:
    dag = build(tmp_path, TASKS_BY_KEYWORD.replace("DAYS", "{$x: days}"))
    mapped: Any = dag.get_task("load")
    assert mapped.upstream_task_ids == {"days"}
    assert {*mapped.op_kwargs_expand_input.value} == {"region", "day"}
    assert DagSerialization.to_dict(dag)


@pytest.mark.usefixtures("helpers")
@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ("{day: [1], unit: [a]}", "`tasks[load].expand.op_kwargs.unit` is given in `with` too"),
        ("{day: 1}", "`tasks[load].expand.op_kwargs.day` must be a list, a mapping or what a task returns, got `1`"),
        ("{}", "`tasks[load].expand.op_kwargs` has no values: nothing would run"),
        ("{day: [1]}, queue: [a]", "`tasks[load].expand.queue` cannot stand beside `op_kwargs` by keyword"),
        ("{dai: [1], region: [a]}", "rejects the arguments of `load`"),
    ],
)
def test_fault_of_keywords_has_its_place(tmp_path: Path, keywords: str, error: str) -> None:
    tasks = TASKS_BY_KEYWORD.replace('{region: [north, "{{ ds }}"], day: DAYS}', keywords)
    with pytest.raises(SpecError, match=re.escape(error)):
        build(tmp_path, tasks)
