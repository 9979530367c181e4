"""Text to Spec: environments, files, settings and warnings. The messages of faults are pinned by `tests/cases`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.errors import SpecError
from airflow_wall.language.document import Spec
from airflow_wall.language.markers import Template
from airflow_wall.loader.load import load_specs, may_be_pipeline
from airflow_wall.settings import Settings

ENVIRONMENTS = """
dag_id: churn
storage: ./lake
default_args: {retries: 1, owner: me}
vars: {threads: 2, source: landing}
environments:
  production:
    storage: /srv/lake
    default_args: {retries: 5}
    vars: {threads: 8}
tasks:
  - id: up
    uses: start_cluster
    with: {cluster: {type: local, threads: "${{ vars.threads }}"}}
  - id: look
    uses: check_new_data
    with: {source: "${{ vars.source }}"}
"""


def load(folder: Path, text: str, settings: Settings | None = None) -> Spec:
    (folder / "pipeline.yaml").write_text(text)
    (spec,) = load_specs(folder / "pipeline.yaml", settings or Settings())
    if spec.faults:
        raise FaultyText(spec.faults, text)
    return spec


def step(spec: Spec, index: int = 0) -> Any:
    return spec.items[index].step


def test_without_environment_the_file_stands_as_it_is(tmp_path: Path) -> None:
    spec = load(tmp_path, ENVIRONMENTS)
    assert (spec.head.storage, step(spec).cluster.threads, spec.environment) == ("lake", 2, None)


def test_environment_replaces_keys_and_entries(tmp_path: Path) -> None:
    spec = load(tmp_path, ENVIRONMENTS, Settings(environment="production"))
    assert (spec.head.storage, step(spec).cluster.threads, spec.environment) == ("/srv/lake", 8, "production")
    assert spec.head.default_args is not None
    assert spec.head.default_args.explicit_arguments() == {"retries": 5, "owner": "me"}
    assert step(spec, 1).source.text == "landing"


def test_laptop_file_never_runs_in_an_environment_it_does_not_list(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        load(tmp_path, ENVIRONMENTS, Settings(environment="staging"))
    assert str(error.value) == (
        f"error: {tmp_path}/pipeline.yaml:6:1: `environments` does not list `staging`, the environment in force\n"
        "  6 | environments:\n    | ^^^^^^^^^^^^\n\n"
        "hint: add it, or correct the setting `[wall] environment`; the file has `production`"
    )


def test_fault_in_an_environment_is_shown_where_it_stands(tmp_path: Path) -> None:
    text = ENVIRONMENTS.replace("threads: 8", "threads: many")
    with pytest.raises(SpecError) as error:
        load(tmp_path, text, Settings(environment="production"))
    assert ":10:21: `tasks[up].with.cluster.threads` must be an integer, got `many`" in str(error.value)


def test_allowed_variable_is_read_and_keeps_text(tmp_path: Path) -> None:
    text = 'dag_id: churn\ntasks:\n  - id: a\n    owner: "team-${{ env.TEAM }}"\n'
    spec = load(tmp_path, text, Settings(env={"TEAM": "7"}))
    assert spec.items[0].block.owner == "team-7"  # type: ignore[union-attr]


def test_allowed_variable_that_is_not_set_is_refused(tmp_path: Path) -> None:
    text = 'dag_id: churn\ntasks:\n  - id: a\n    owner: "${{ env.TEAM }}"\n'
    with pytest.raises(SpecError, match=r"which is not set"):
        load(tmp_path, text, Settings(env={"TEAM": None}))


def test_single_expression_keeps_its_type(tmp_path: Path) -> None:
    text = 'dag_id: churn\nvars: {n: 3}\ntasks:\n  - id: a\n    retries: "${{ vars.n }}"\n'
    assert load(tmp_path, text).items[0].block.retries == 3  # type: ignore[union-attr]


def test_shell_variables_and_templates_stay_text(tmp_path: Path) -> None:
    text = (
        "dag_id: churn\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        '    with: {bash_command: "echo ${HOME} {{ x }}"}\n'
    )
    spec = load(tmp_path, text)
    assert spec.items[0].arguments == {"bash_command": "echo ${HOME} {{ x }}"}
    assert spec.warnings == ()


def test_unmarked_run_time_name_draws_a_warning_with_the_spelling_meant(tmp_path: Path) -> None:
    text = (
        "dag_id: churn\ntasks:\n  - id: a\n    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        '    with: {bash_command: "echo {{ ds }}"}\n'
    )
    (warning,) = load(tmp_path, text).warnings
    assert warning.message == (
        "`tasks[a].with.bash_command` holds `{{ ds ... }}`, which stays text here: values are literal"
    )
    assert warning.hint == "to have it filled in when the task runs, write {$t: 'echo {{ ds }}'}"


def test_run_time_name_beside_an_expression_draws_the_same_warning(tmp_path: Path) -> None:
    text = (
        "dag_id: churn\nvars: {x: 1}\ntasks:\n  - id: a\n"
        "    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        '    with: {bash_command: "echo {{ ds }} ${{ vars.x }}"}\n'
    )
    (warning,) = load(tmp_path, text).warnings
    assert "holds `{{ ds ... }}`, which stays text here" in warning.message


@pytest.mark.parametrize(
    "written", ['"echo {{ vars.x }}"', '"echo {{ vars.x }} ${{ vars.x }}"', '{$t: "echo {{ vars.x }}"}']
)
def test_expression_without_its_dollar_draws_a_warning(written: str, tmp_path: Path) -> None:
    text = (
        "dag_id: churn\nvars: {x: 1}\ntasks:\n  - id: a\n"
        "    uses: airflow.providers.standard.operators.bash.BashOperator\n"
        f"    with: {{bash_command: {written}}}\n"
    )
    (warning,) = load(tmp_path, text).warnings
    assert warning.message.endswith("holds `{{ vars.x }}`, which nothing fills in")
    assert warning.hint == "write `${{ vars.x }}`: it is known when the file is read"


def test_sql_file_is_read_and_may_use_run_time_names(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select '{{ ds }}' as day from raw")
    text = "dag_id: churn\ntasks:\n  - id: a\n    uses: transform\n    with: {inputs: {raw: b/a}, target: s/a, sql: q.sql}\n"
    spec = load(tmp_path, text)
    assert step(spec).sql == Template("select '{{ ds }}' as day from raw")
    assert spec.items[0].arguments == {"sql_file": "q.sql"}


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.sql").write_text("select 1")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "q.sql").symlink_to(tmp_path / "secret.sql")
    text = "dag_id: churn\ntasks:\n  - id: a\n    uses: transform\n    with: {inputs: {raw: b/a}, target: s/a, sql: q.sql}\n"
    with pytest.raises(SpecError, match="which is outside the folder of the pipeline"):
        load(tmp_path / "dags", text)


def test_other_yaml_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("checks: []\n")
    assert load_specs(tmp_path / "other.yaml", Settings()) == []


def test_loading_imports_no_airflow() -> None:
    import subprocess
    import sys

    program = "import sys, airflow_wall.loader.load, airflow_wall.planner.plan; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_only_the_first_hundred_faults_are_reported(tmp_path: Path) -> None:
    text = "dag_id: churn\ntasks: [{id: a}]\n" + "".join(f"key{number}: 1\n" for number in range(500))
    with pytest.raises(SpecError) as error:
        load(tmp_path, text)
    assert str(error.value).count("error: ") == 101
    assert str(error.value).endswith("pipeline.yaml: there are more than these 100 faults")


def test_documents_after_a_hundred_faults_are_not_read(tmp_path: Path) -> None:
    faulty = "".join(
        f"---\ndag_id: bad{n}\ntasks: [{{id: a}}]\n" + "".join(f"key{m}: 1\n" for m in range(60)) for n in range(3)
    )
    (tmp_path / "pipeline.yaml").write_text(
        f"dag_id: good\ntasks: [{{id: a}}]\n{faulty}---\ndag_id: last\ntasks: [{{id: a}}]\n"
    )
    specs = load_specs(tmp_path / "pipeline.yaml", Settings())
    assert [(spec.head.dag_id, len(spec.faults)) for spec in specs] == [
        ("good", 0), ("bad0", 60), ("bad1", 60), ("bad2", 1), ("last", 1),
    ]  # fmt: skip
    (fault,) = specs[-1].faults
    assert fault.message == "document is not read: those before it have more than 100 faults"
    assert fault.place.line == (tmp_path / "pipeline.yaml").read_text().splitlines().index("dag_id: last") + 1


def test_repetitions_and_expressions_are_counted(tmp_path: Path) -> None:
    text = (
        "dag_id: churn\nvars: {many: ["
        + "1," * 10_000
        + "]}\ntasks:\n"
        + "".join(f"  - {{id: t{number}, uses: a.B, with: {{x: '${{{{ vars.many }}}}'}}}}\n" for number in range(30))
    )
    with pytest.raises(SpecError, match="makes more than 50,000 values of this document"):
        load(tmp_path, text)


def test_a_matrix_of_thousands_of_names_is_counted_without_being_written_out(tmp_path: Path) -> None:
    names = ", ".join(f"m{number}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" for number in range(1_500))
    with pytest.raises(SpecError, match="makes more than 1,000,000 repetitions"):
        load(tmp_path, f"dag_id: churn\ntasks:\n  - id: a\n    matrix: {{{names}}}\n")


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ('{"tasks": [], "dag_id" : "a"', True),
        ('{"$schema": "https://airflow.apache.org/schemas/dag/1.json"', True),
        ('{"a": 1, "$schema": "x", "b": "airflow.apache.org/schemas/dag"', False),
        ('{"a": "airflow.apache.org/schemas/dag", "$schema" : "https://airflow.apache.org/schemas/dag"', True),
        ('{"a": "airflow.apache.org/schemas/dag", "$schema": "x"', False),
        ('{"$schema": "x"}', False),
        ("{{ a }}: dag_id: x", False),
        ("a: [\ndag_id: x", True),
    ],
)
def test_a_broken_file_is_reported_where_it_was_meant_as_a_pipeline(tmp_path: Path, text: str, is_meant: bool) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert may_be_pipeline(tmp_path / "a.yaml") is is_meant


def test_files_of_a_pipeline_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "long.sql").write_text("SELECT 1 -- " + "x" * 200_000)
    names = ["./" * number + "long.sql" for number in range(6)]
    tasks = [f"  - {{id: t{index}, uses: a.B, with: {{x: {{$f: {name}}}}}}}\n" for index, name in enumerate(names)]
    load(tmp_path, "dag_id: churn\ntasks:\n" + "".join(tasks[:5]))
    with pytest.raises(SpecError) as error:
        load(tmp_path, "dag_id: churn\ntasks:\n" + "".join(tasks))
    assert "`tasks[t5].with.x.$f` names `" in str(error.value)
    assert "which brings the files of this pipeline above 1,048,576 characters" in str(error.value)


@pytest.mark.parametrize("policy", ["open", "restricted"])
@pytest.mark.parametrize("text", ["{{ ds|trim|trim }}", "{% if ds %}x{% endif %}", "{{ '}}' ~ ds ~ ds ~ ds }}"])
def test_expressions_of_templates_are_counted_together(text: str, policy: Any, tmp_path: Path) -> None:
    def document(count: int) -> str:
        template = '{$t: "' + text * 100 + '"}'
        values = ", ".join(f"a{index}: {template}" for index in range(count))
        return f"dag_id: churn\ntasks:\n  - {{id: a, uses: a.B, with: {{{values}}}}}\n"

    settings = Settings(policy=policy, allowed_operators=("a.B",))
    if text == "{{ ds|trim|trim }}":
        load(tmp_path, document(10), settings)
    with pytest.raises(SpecError) as error:
        load(tmp_path, document(80), settings)
    assert str(error.value).count("takes too long to check, together with the templates before it") == 1


def test_data_in_templates_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "rows.sql").write_text("SELECT '{{ ds|trim }}', {}\n" + "-- {} {a}\n" * 20_000)
    load(tmp_path, "dag_id: churn\ntasks:\n  - {id: a, uses: a.B, with: {x: {$t: {$f: rows.sql}}}}\n")
