"""YAML files without a pipeline: parts of pipelines, and files of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.loader.discover import FileKind
from airflow_wall.loader.other_files import other_file
from airflow_wall.settings import Settings

TOOLS = {
    "dag-factory": (
        "default:\n  default_args: {owner: me}\nnightly:\n  schedule_interval: '@daily'\n  tasks:\n    - task_id: a\n"
        "      operator: airflow.operators.bash.BashOperator\n      dependencies: []\n",
        ("`dag_id: nightly`", "`schedule_interval`: write it as `schedule`", "`operator`: write it as `uses`"),
    ),
    "gusty": (
        "operator: airflow.operators.bash.BashOperator\nbash_command: ls\ndependencies: [b]\nstart: !days_ago 1\n",
        ("an item of its `tasks`", "`operator`: write it as `uses`", "`dependencies`: write as `needs`"),
    ),
    "Kestra": (
        "id: hello\nnamespace: team\ntasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log, message: hi}\n",
        ("`id`: write it as `dag_id`", "`type`: write it as `uses`"),
    ),
    "Argo Workflows": (
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  templates:\n    - name: a\n      dag:\n"
        "        tasks: [{name: b, depends: c}]\n",
        ("`depends`: write as `needs`",),
    ),
    "GitHub Actions": (
        "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    needs: build\n    steps: [{uses: actions/checkout@v4}]\n",
        ("`jobs`: write it as `tasks`", "`steps`: write each of them as a task"),
    ),
    "Kubernetes": ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", ("name the files of your pipelines",)),
    "dbt": ("version: 2\nmodels:\n  - name: a\n", ("name the files of your pipelines",)),
    "Docker Compose": ("services:\n  a: {image: redis}\n", ("name the files of your pipelines",)),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_file_of_another_tool_is_recognized_and_translated(tool: str, tmp_path: Path) -> None:
    text, hints = TOOLS[tool]
    path = tmp_path / "other.yaml"
    path.write_text(text)
    found = other_file(path, Settings())
    assert found.kind is FileKind.OTHER
    (fault,) = found.faults
    assert fault.message == f"holds no pipeline: it is a file of {tool}"
    for hint in hints:
        assert hint in str(fault.hint)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("# nothing yet\n---\n", "the file is empty"),
        ("- a\n", "it is a list, not a mapping"),
        ("hello\n", "it is text, not a mapping"),
        ("tasks: [{id: a}]\n", "it has no `dag_id` at its top"),
        ("a: 1\n", "it has no `dag_id` at its top"),
    ],
)
def test_file_that_is_no_part_of_a_pipeline_says_so(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    assert [fault.message for fault in other_file(path, Settings()).faults] == [f"holds no pipeline: {reason}"]


@pytest.mark.parametrize(
    ("kind", "good", "bad", "message"),
    [
        (
            FileKind.CHECKS,
            "checks: [{row_count: {min: 1}}]\n",
            "checks: [{row_count: {mim: 1}}]\n",
            "`checks[0].row_count.mim` is not a known key",
        ),
        (
            FileKind.SHARED,
            "default_args: {retries: 2, owner: '${{ vars.team }}'}\n",
            "default_args: {retries: two}\n",
            "`default_args.retries` must be an integer, got `two`",
        ),
        (
            FileKind.SHARED,
            "templates: {slow: {retries: 2}}\nvars: {a: 1}\n",
            "templates: {slow: {retries: 2}}\nvars: {a: 1}\nschedul: 1\n",
            "`schedul` cannot stand in an included file",
        ),
        (
            FileKind.CONTRACT,
            "columns: {id: bigint}\n",
            "columns: {id: bigit}\n",
            "`columns.id` must be a type of a column, got `bigit`",
        ),
    ],
)
def test_part_of_a_pipeline_is_checked_as_what_it_is(
    kind: FileKind, good: str, bad: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "part.yaml"
    path.write_text(good)
    assert other_file(path, Settings()) == type(other_file(path, Settings()))(kind)
    path.write_text(bad)
    found = other_file(path, Settings())
    assert (found.kind, [fault.message for fault in found.faults]) == (kind, [message])


def test_file_of_connections_is_a_part() -> None:
    path = Path(__file__).parents[3] / "connections.yaml"
    assert other_file(path, Settings()).kind is FileKind.CONNECTIONS
