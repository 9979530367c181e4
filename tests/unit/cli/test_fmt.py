"""`airflow-wall fmt`: old spellings are rewritten, and nothing else of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

OLD = """\
# a pipeline of Airflow 2
dag_id: p
schedule_interval: '@daily'   # each day
concurrency: 3
tasks:
  - task_id: a
    operator: "airflow.operators.bash.BashOperator"  # moved
    with: {bash_command: 'echo bash'}
  - {id: b, uses: bash, depends_on: [a], with: {bash_command: ls}}
  - id: g
    tasks:
      - id: c
        uses: 'DummyOperator'
  - {id: i, uses: ingest, with: {source: landing, target: bronze/a}}
---
dag_id: q
templates: {t: {uses: python}}
tasks: [{id: a, uses: mine.Python}]
"""

NEW = """\
# a pipeline of Airflow 2
dag_id: p
schedule: '@daily'   # each day
max_active_tasks: 3
tasks:
  - id: a
    uses: "airflow.providers.standard.operators.bash.BashOperator"  # moved
    with: {bash_command: 'echo bash'}
  - {id: b, uses: airflow.providers.standard.operators.bash.BashOperator, needs: [a], with: {bash_command: ls}}
  - id: g
    tasks:
      - id: c
        uses: 'airflow.providers.standard.operators.empty.EmptyOperator'
  - {id: i, uses: ingest, with: {source: landing, target: bronze/a}}
---
dag_id: q
templates: {t: {uses: airflow.providers.standard.operators.python.PythonOperator}}
tasks: [{id: a, uses: mine.Python}]
"""


def test_old_spellings_are_rewritten_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(OLD)
    checked = CliRunner().invoke(app, ["fmt", "--check", str(path)])
    assert (checked.exit_code, path.read_text()) == (1, OLD)
    assert f"{path}:3: `schedule_interval` -> `schedule`\n" in checked.stdout
    written = CliRunner().invoke(app, ["fmt", str(tmp_path)])
    assert (written.exit_code, path.read_text()) == (0, NEW)
    assert written.stdout.endswith("1 file changed\n")
    assert [spec.faults for spec in load_specs(path, Settings())] == [(), ()]
    again = CliRunner().invoke(app, ["fmt", "--check", str(tmp_path)])
    assert (again.exit_code, again.stdout) == (0, "0 files would change\n")


@pytest.mark.parametrize(
    "text",
    [
        "dag_id: p\nschedule: 1d\nschedule_interval: 2d\ntasks: [{id: a}]\n",  # both keys
        'dag_id: p\ntasks:\n  - id: a\n    uses: "b\\x61sh"\n',  # an escape
        "task_id: a\noperator: x\n",  # a file of another tool
    ],
)
def test_text_that_cannot_be_changed_safely_stays(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    assert CliRunner().invoke(app, ["fmt", str(path)]).exit_code == 0
    assert path.read_text() == text


def test_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("dag_id: [\n")
    found = CliRunner().invoke(app, ["fmt", str(path)])
    assert (found.exit_code, path.read_text()) == (1, "dag_id: [\n")
