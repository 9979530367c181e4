"""Names in templates: variables, filters and tests."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from airflow.sdk.definitions._internal.templater import FILTERS as AIRFLOW_FILTERS
from airflow.sdk.definitions.context import Context

from airflow_wall.language.template_names import FILTERS, REMOVED, REMOVED_ATTRIBUTES, RUN, TESTS
from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings

BASH = "airflow.providers.standard.operators.bash.BashOperator"


def checked(folder: Path, template: str, head: str = "") -> tuple[list[str], list[str]]:
    path = folder / "p.yaml"
    path.write_text(
        f"dag_id: p\n{head}tasks:\n  - id: a\n    uses: {BASH}\n    with:\n      bash_command:\n        $t: >-\n"
        f"          {template}\n"
    )
    (result,) = check_files([path], Settings())
    for fault in (*result.faults, *result.warnings):
        assert fault.place.line > 6  # at the template
    begin = "`tasks[a].with.bash_command.$t` uses "
    assert all(fault.message.startswith(begin) for fault in (*result.faults, *result.warnings))
    described = [
        [f"{fault.message.removeprefix(begin)} ({fault.hint})" for fault in faults]
        for faults in (result.faults, result.warnings)
    ]
    return described[0], described[1]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ execution_date }}", ["`execution_date`, which Airflow 3 has removed (write `{{ logical_date }}`)"]),
        ("{{ dss }}", ["`dss`, which Airflow does not define (did you mean `ds`?)"]),
        ("{{ dss }} {{ dss }} {{ tss | upper }}", [
            "`dss`, which Airflow does not define (did you mean `ds`?)",
            "`tss`, which Airflow does not define (did you mean `ts`?)",
        ]),
        ("{{ ds | uper }}", ["the filter `uper`, which Jinja and Airflow do not have (did you mean `upper`?)"]),
        ("{% if dss == '1' %}a{% endif %}", ["`dss`, which Airflow does not define (did you mean `ds`?)"]),
        ("{{ ds if ds is evn else 1 }}", ["the test `evn`, which Jinja and Airflow do not have (did you mean `even`?)"]),
        ("{{ dag_run.execution_date }}", [
            "`dag_run.execution_date`, which Airflow 3 has removed (write `dag_run.logical_date`)"
        ]),
        ("{{ macros.ds_add(tomorow, 1) }}", [
            "`tomorow`, which Airflow does not define (remove it: none of the known names is like it)"
        ]),
    ],
)  # fmt: skip
def test_name_that_airflow_lacks_is_a_fault_at_the_template(template: str, expected: list[str], tmp_path: Path) -> None:
    assert checked(tmp_path, template) == (expected, [])


@pytest.mark.parametrize(
    "template",
    [
        "{{ ds }} {{ ts_nodash }} {{ data_interval_end | ds }} {{ macros.ds_add(ds, -1) }} {{ var.value.x }} {{ conn.a.host }}",
        "{% set x = ds %}{{ x }}{% for y in [1, 2] %}{{ loop.index }}{{ y }}{% endfor %}",
        "{{ mine | default('') }}{% if yours is defined %}{{ yours }}{% endif %}",
        "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(ds) }}{{ range(3) | list }}",
        "{{ '{{ dss }}' }}{% raw %}{{ dss }}{% endraw %}{# {{ dss }} #}",
        "{{ params.items() | list }}{{ ti.xcom_pull(task_ids='b') }}",
        "{% import 'a.j2' as a %}{% from 'b.j2' import b, c as d %}{{ a.x(ds) }}{{ b(ds) }}{{ d() }}",
        "{% extends 'a.j2' %}{% block b %}{{ super() }}{{ ds }}{% endblock %}",
    ],
)
def test_template_that_airflow_renders_has_no_fault(template: str, tmp_path: Path) -> None:
    assert checked(tmp_path, template) == ([], [])


def test_param_that_the_pipeline_lacks_is_a_warning(tmp_path: Path) -> None:
    warning = "`params.nope`, which the pipeline does not define (add it: `params: {nope: ...}`)"
    assert checked(tmp_path, "{{ params.nope }}") == ([], [warning])
    near = "`params.sise`, which the pipeline does not define (did you mean `params.size`?)"
    assert checked(tmp_path, "{{ params.sise }} {{ params.size }}", "params: {size: 3}\n") == ([], [near])


def test_template_of_a_notification_may_use_the_notice(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "dag_id: p\nnotify: {failure: {slack: {channel: a, message: {$t: '{{ notice.text }} {{ notise.url }}'}}}}\n"
        "tasks: [{id: a}]\n"
    )
    (result,) = check_files([path], Settings())
    (fault,) = result.faults
    assert fault.message == "`notify.failure.slack.message.$t` uses `notise`, which Airflow does not define"
    assert fault.hint == "did you mean `notice`?"


def test_tables_hold_the_names_of_the_installed_airflow_and_jinja() -> None:
    assert Context.__annotations__.keys() - RUN == set()
    assert RUN & REMOVED.keys() == set()
    assert {name.partition(".")[0] for name in REMOVED_ATTRIBUTES} - RUN == set()
    assert jinja2.filters.FILTERS.keys() | AIRFLOW_FILTERS.keys() == FILTERS
    assert jinja2.tests.TESTS.keys() == TESTS
