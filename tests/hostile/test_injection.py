"""
Under policy `restricted` no template that a pipeline brings is evaluated: it is refused, or stays the text it is.

Every text below stands in every place of a pipeline that holds text. Where a pipeline is built, the fields of its tasks
are filled in with what Airflow has at hand when they run; a run of Airflow's own ends the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import macros

from airflow_wall.dag.build import build_dag
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

pytestmark = pytest.mark.timeout(900)

TEXTS = [
    "{{ 7*191 }}",
    "{{7*'7'}}",
    "{{ 'a' ~ 'b' }}",
    "{{ 1 if true else 2 }}",
    "{{ [1,2][0] }}",
    "{{ {'a': 1}['a'] }}",
    "{{ range(9)|list }}",
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'][1]['__subclasses__']() }}",
    "{{ ().__class__.__bases__[0].__subclasses__()[132].__init__.__globals__['popen']('id').read() }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ config }}",
    "{{ config.items() }}",
    "{{ self }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum.__globals__.os.environ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "{{ namespace.__init__.__globals__.os.popen('id').read() }}",
    "{{ request.application.__globals__.__builtins__.__import__('os').popen('id').read() }}",
    "{{ get_flashed_messages.__globals__.__builtins__.open('/etc/passwd').read() }}",
    "{{ url_for.__globals__ }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ()|attr(['_'*2,'class','_'*2]|join) }}",
    "{{ ds|attr('upper')() }}",
    "{{ ds.__class__ }}",
    "{{ ds.upper() }}",
    "{{ ds|map('upper')|list }}",
    "{{ ds|format(1) }}",
    "{{ '%c'|format(97) }}",
    "{{ '{0.__class__}'.format(ds) }}",
    "{{ ds|replace('2', x) }}",
    "{{ ds|center(100000000) }}",
    "{{ macros.datetime.now() }}",
    "{{ macros.json.codecs.sys.modules.os.popen('id').read() }}",
    "{{ macros.random() }}",
    "{{ macros.uuid.uuid4() }}",
    "{{ macros.os }}",
    "{{ var.value.secret }}",
    "{{ var.value.get('secret') }}",
    "{{ var.json.secret.password }}",
    "{{ conn.platform.password }}",
    "{{ conn.platform.get_uri() }}",
    "{{ conn.get('platform') }}",
    "{{ ti.xcom_pull('other') }}",
    "{{ task_instance.xcom_pull(task_ids='other') }}",
    "{{ ti.task.dag.fileloc }}",
    "{{ dag.fileloc }}",
    "{{ dag.get_template_env() }}",
    "{{ task.__dict__ }}",
    "{{ task.dag.default_args }}",
    "{{ dag_run.conf }}",
    "{{ dag_run.conf['x'] }}",
    "{{ params }}",
    "{{ params['x'] }}",
    "{{ params.__class__ }}",
    "{{ params.x.__class__ }}",
    "{{ params|attr('x') }}",
    "{{ context }}",
    "{{ caller() }}",
    "{{ outlet_events }}",
    "{{ inlet_events }}",
    "{{ triggering_asset_events.values()|list }}",
    "{{ templates_dict }}",
    "{{- 7*191 -}}",
    "{{{7*191}}}",
    "{{ {{ 7*191 }} }}",
    "{{ '{{ 7*191 }}' }}",
    "{% print(7*191) %}",
    "{% set x = 7*191 %}{{ x }}",
    "{% for c in ''.__class__.__mro__[1].__subclasses__() %}{{ c }}{% endfor %}",
    "{% if 1 %}evaluated{% endif %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends '/etc/passwd' %}",
    "{% from 'pipeline.yaml' import x %}",
    "{% macro m() %}evaluated{% endmacro %}{{ m() }}",
    "{% raw %}{{ ds }}{% endraw %}",
    "{% filter upper %}evaluated{% endfilter %}",
    "{% with x=7*191 %}{{ x }}{% endwith %}",
    "{%- print(7*191) -%}",
    "{# a comment #}text",
    "{#%- -%#}{{ 7*191 }}",
    "text {{ ds.__class__ }} {{ ds }}",
    "{{ ds }}{{ 7*191 }}",
    "{{\n7*191\n}}",
    "{{'\\u007b\\u007b 7*191 }}'}}",
    "{{ 9**9**9**9 }}",
    "{{ 'x' * 999999999 }}",
    "{{ (",
    "{{ ds",
    "{{ ds|nosuchfilter }}",
    "${{ vars.nothing.__class__ }}",
    "${{ 7*191 }}",
    "$t: {{ 7*191 }}",
    "#{7*191}",
    "${7*191}",
    "<%= 7*191 %>",
    "{ds!r}",
    "%(ds)s",
    "$(id)",
    "`id`",
]

BASH = "airflow.providers.standard.operators.bash.BashOperator"
SETTINGS = {
    "policy": "restricted",
    "allowed_operators": (BASH,),
    "allowed_connections": ("platform",),
}


def quoted(text: str) -> str:
    return json.dumps(text)  # a JSON text is a YAML text


def bash(more: str, head: str = "") -> str:
    return f"dag_id: a\n{head}tasks:\n  - id: t\n    uses: {BASH}\n    with: {{bash_command: echo, {more}}}\n"


LITERAL: dict[str, Callable[[str], str]] = {
    "an argument": lambda text: bash(f"env: {{A: {text}}}"),
    "an argument beside a template": lambda text: bash(f"env: {{A: {text}, B: {{$t: '{{{{ ds }}}}'}}}}"),
    "an argument of constants": lambda text: bash(f"env: {{$const: {{A: {text}}}}}"),
    "a constant beside a template": lambda text: bash(f"env: {{A: {{$const: {text}}}, B: {{$t: '{{{{ ds }}}}'}}}}"),
    "a list": lambda text: bash(f"cwd: /, env: {{A: [{text}, {{$t: '{{{{ ds }}}}'}}]}}"),
    "a variable of the file": lambda text: bash("env: {A: '${{ vars.x }}'}", f"vars: {{x: {text}}}\n"),
    "the default of a param": lambda text: bash("env: {A: {$t: '{{ params.x }}'}}", f"params: {{x: {text}}}\n"),
    "a value of a matrix": lambda text: (
        f"dag_id: a\ntasks:\n  - id: t\n    uses: {BASH}\n    matrix: {{m: [{text}]}}\n"
        "    with: {bash_command: echo, env: {A: '${{ matrix.m }}'}}\n"
    ),
    "the SQL of a step": lambda text: (
        f"dag_id: a\ntasks:\n  - id: t\n    uses: transform\n    with: {{sql: {text}, inputs: {{raw: b/a}}, target: s/a}}\n"
    ),
    "a condition of a step": lambda text: (
        "dag_id: a\ntasks:\n  - id: t\n    uses: publish\n"
        f"    with: {{release: r, table: s/a, to: [{{to: 'files://x', where: {text}}}]}}\n"
    ),
    "a source of a step": lambda text: (
        f"dag_id: a\ntasks:\n  - id: t\n    uses: ingest\n    with: {{source: {text}, target: b/a}}\n"
    ),
    "a check of a step": lambda text: (
        "dag_id: a\ntasks:\n  - id: t\n    uses: check_integrity\n"
        f"    with: {{table: s/a, checks: [{{sql: {{query: {text}}}}}]}}\n"
    ),
    "texts of the pipeline": lambda text: bash(
        "env: {A: x}", f"description: {text}\ndag_display_name: {text}\ndoc_md: {text}\ntags: [a]\n"
    ),
    "texts of a task": lambda text: (
        f"dag_id: a\ntasks:\n  - id: t\n    task_display_name: {text}\n    doc_md: {text}\n    owner: {text}\n"
    ),
    "texts of a group": lambda text: f"dag_id: a\ntasks:\n  - id: g\n    tooltip: {text}\n    tasks: [{{id: t}}]\n",
    "a notice": lambda text: (
        f"dag_id: a\nnotify: {{failure: [{{http: {{conn_id: platform, endpoint: {text}}}}}]}}\ntasks: [{{id: t}}]\n"
    ),
    "names": lambda text: (
        f"dag_id: {text}\ntasks:\n  - id: {text}\n    needs: [{text}]\n    uses: {text}\n    pool: {text}\n"
    ),
    "Airflow's own format": lambda text: (
        "$schema: https://airflow.apache.org/schemas/dag/2026-10-30.json\ndag_id: a\ntasks:\n"
        f"  - id: t\n    uses: {BASH}\n    with: {{bash_command: echo, env: {{A: {text}}}}}\n"
    ),
}
"""Place to a pipeline in which a text stands there without a mark."""

MARKED: dict[str, Callable[[str], str]] = {
    "an argument": lambda text: bash(f"env: {{A: {{$t: {text}}}}}"),
    "the long name of the mark": lambda text: bash(f"env: {{A: {{$template: {text}}}}}"),
    "made of a variable": lambda text: bash("env: {A: {$t: '${{ vars.x }}'}}", f"vars: {{x: {text}}}\n"),
    "made of a variable of the environment": lambda _: bash("env: {A: {$t: '${{ env.TEXT }}'}}"),
    "a file": lambda _: bash("env: {A: {$t: {$f: text.txt}}}"),
    "an SQL file": lambda _: (
        "dag_id: a\ntasks:\n  - id: t\n    uses: transform\n    with: {sql: text.sql, inputs: {raw: b/a}, target: s/a}\n"
    ),
    "a notice": lambda text: (
        f"dag_id: a\nnotify: {{failure: [{{slack: {{channel: a, message: {{$t: {text}}}}}}}]}}\ntasks: [{{id: t}}]\n"
    ),
    "Airflow's own format": lambda text: (
        "$schema: https://airflow.apache.org/schemas/dag/2026-10-30.json\ndag_id: a\ntasks:\n"
        f"  - id: t\n    uses: {BASH}\n    with: {{bash_command: echo, env: {{A: {{$t: {text}}}}}}}\n"
    ),
}
"""Place to a pipeline in which a text stands there as a template."""

TEMPLATES = [text for text in TEXTS if "{{" in text.replace("${{", "") or "{%" in text or "{#" in text]


def planned(tmp_path: Path, text: str, value: str) -> list[Plan]:
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    (tmp_path / "text.txt").write_text(value)
    (tmp_path / "text.sql").write_text(value)
    settings = Settings(env={"TEXT": value}, **SETTINGS)  # type: ignore[arg-type]
    return plan_all(load_specs(file, settings), settings)


class Watched:
    """Stands for what Airflow has at hand, and says when a template looks into it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a template read `{self.name}.{name}`")

    def __str__(self) -> str:
        raise AssertionError(f"a template read `{self.name}`")


def rendered(dag: DAG) -> list[Any]:
    """Return the fields of all tasks after rendering."""
    names = (
        "var",
        "conn",
        "ti",
        "task_instance",
        "dag_run",
        "outlet_events",
        "inlet_events",
        "triggering_asset_events",
    )
    found = []
    for task in dag.tasks:
        context: Any = {name: Watched(name) for name in names}
        params = {name: param.value for name, param in dag.params.items()}
        context |= {"ds": "2013-07-01", "params": params, "macros": macros, "dag": dag, "task": task}
        context["x"] = "evaluated"
        task.render_template_fields(context, dag.get_template_env())
        found += [getattr(task, name) for name in ("env", "sql", "to", "source", "checks") if hasattr(task, name)]
    return found


def strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list | tuple | set):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_there_are_enough_texts() -> None:
    assert len(set(TEXTS)) == len(TEXTS) > 100
    assert len(TEMPLATES) > 80


@pytest.mark.parametrize("place", LITERAL)
def test_a_text_without_a_mark_stays_what_it_is(place: str, tmp_path: Path) -> None:
    built = 0
    for value in TEXTS:
        try:
            plans = planned(tmp_path, LITERAL[place](quoted(value)), value)
        except SpecError:
            continue
        (dag,) = (build_dag(plan) for plan in plans)
        built += 1
        shown = strings(rendered(dag))
        if place in ("texts of the pipeline", "texts of a task", "texts of a group", "a notice"):
            group = [each.tooltip for each in dag.task_group.children.values() if hasattr(each, "tooltip")]
            task = dag.tasks[0]
            shown = strings([dag.description, dag.dag_display_name, task.task_display_name, task.owner, group])
            notices = [str(each.__dict__) for each in dag.on_failure_callback or ()]
            assert value in shown or any(repr(value)[1:-1] in notice for notice in notices), value
        elif place != "names":
            assert value in shown, (value, shown)
    assert built == 0 if place == "names" else built > 90


@pytest.mark.parametrize("place", MARKED)
def test_a_template_is_refused(place: str, tmp_path: Path) -> None:
    for value in TEMPLATES:
        with pytest.raises(SpecError) as error:
            planned(tmp_path, MARKED[place](quoted(value)), value)
        message = str(error.value)
        assert "in a template, which this deployment does not allow" in message or "not a Jinja template" in message, (
            value
        )


def test_nothing_is_evaluated_in_a_run_of_airflow(tmp_path: Path) -> None:
    values = {
        f"V{number}": text for number, text in enumerate(TEXTS) if "\n" not in text and not text.startswith("${{")
    }
    given = ", ".join(f"{name}: {quoted(text)}" for name, text in values.items())
    out = tmp_path / "out"
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "a.yaml").write_text(
        "dag_id: a\nstart_date: 2013-01-01\ntasks:\n  - id: t\n"
        f"    uses: {BASH}\n    with: {{bash_command: 'env -0 > {out}', env: {{{given}, DAY: {{$t: '{{{{ ds }}}}'}}}}}}\n"
    )
    here = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "airflow-wall", "run", "dags/a.yaml", "--date", "2013-07-01"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
        env={**here, "AIRFLOW__WALL__POLICY": "restricted", "AIRFLOW__WALL__ALLOWED_OPERATORS": BASH},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = dict(line.split("=", 1) for line in out.read_text().split("\0") if "=" in line)
    assert {name: seen[name] for name in values} == values
    assert seen["DAY"] == "2013-07-01"
