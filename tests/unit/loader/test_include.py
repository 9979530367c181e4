"""The origins of values, as shown by the DAG's page, the log and `airflow-wall explain`."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.dag.build import build_dag
from airflow_wall.errors import SpecError
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

PIPELINE = """\
dag_id: scores
include: shared/team.yaml
vars: {rows: 100}
storage: ./lake
environments:
  production:
    storage: ${{ env.LAKE }}
    vars: {rows: 1000000}
  laptop: {}
tasks:
  - id: a
"""
TEAM = "vars: {rows: 10, team: analytics}\ndefault_args:\n  retries: 2\n"
PRODUCTION = Settings(environment="production", env={"LAKE": "/srv/lake"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()
    (tmp_path / "scores.yaml").write_text(PIPELINE)
    (tmp_path / "shared/team.yaml").write_text(TEAM)
    return tmp_path


def test_each_value_has_its_place(folder: Path) -> None:
    (spec,) = load_specs(Path("scores.yaml"), PRODUCTION)
    assert [(each.key, each.value, f"{each.path}:{each.line}", each.environment) for each in spec.origins] == [
        ("default_args.retries", "2", "shared/team.yaml:3", None),
        ("storage", "${{ env.LAKE }}", "scores.yaml:7", "production"),
        ("vars.rows", "1000000", "scores.yaml:8", "production"),
        ("vars.team", "analytics", "shared/team.yaml:1", None),
    ]


def test_the_page_and_the_log_say_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (spec,) = load_specs(folder / "scores.yaml", PRODUCTION)
    with caplog.at_level(logging.INFO):
        dag = build_dag(plan(spec, PRODUCTION))
    assert dag.doc_md is not None
    assert dag.doc_md.startswith(
        "Built by airflow-wall from `scores.yaml` · environment `production`\n\n"
        "- `default_args.retries` from `shared/team.yaml:3`\n"
        "- `storage` from `scores.yaml:7` (environment `production`)\n"
        "- `vars.rows` from `scores.yaml:8` (environment `production`)\n"
        "- `vars.team` from `shared/team.yaml:1`\n\n```yaml\n"
    )
    assert "/srv/lake" not in dag.doc_md  # a variable of the deployment may be one that nobody is to read
    assert [record.message for record in caplog.records if record.name == "airflow_wall.dag.build"] == [
        "pipeline `scores`: environment `production`; `default_args.retries` from `shared/team.yaml:3`, `storage` from "
        "`scores.yaml:7` (environment `production`), `vars.rows` from `scores.yaml:8` (environment `production`), "
        "`vars.team` from `shared/team.yaml:1`"
    ]


def test_explain_says_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LAKE", "/srv/lake")
    monkeypatch.setitem(os.environ, "AIRFLOW__WALL__ALLOWED_ENV", "LAKE")
    result = CliRunner().invoke(app, ["explain", "scores.yaml", "--env", "production"])
    assert (result.exit_code, result.output) == (
        0,
        "scores (scores.yaml): environment `production`\n"
        "  default_args.retries  2  (shared/team.yaml:3, included)\n"
        "  storage               ${{ env.LAKE }}  (scores.yaml:7, environment `production`)\n"
        "  vars.rows             1000000  (scores.yaml:8, environment `production`)\n"
        "  vars.team             analytics  (shared/team.yaml:1, included)\n\n",
    )
    result = CliRunner().invoke(app, ["explain", "scores.yaml"])
    assert result.output.startswith("scores (scores.yaml): no environment is in force; it has `production`, `laptop`\n")


def test_an_environment_that_the_file_does_not_list_is_a_fault(folder: Path) -> None:
    (spec,) = load_specs(Path("scores.yaml"), Settings(environment="staging"))
    with pytest.raises(SpecError, match="does not list `staging`, the environment in force"):
        plan(spec, Settings(environment="staging"))


def test_fault_of_an_included_value_is_reported_in_its_own_file(folder: Path) -> None:
    (folder / "shared/team.yaml").write_text("default_args:\n  retries: many\n")
    (spec,) = load_specs(Path("scores.yaml"), PRODUCTION)
    with pytest.raises(SpecError) as error:
        plan(spec, PRODUCTION)
    assert str(error.value) == (
        "error: shared/team.yaml:2:12: `default_args.retries` must be an integer, got `many`\n"
        "  2 |   retries: many\n    |            ^^^^\n\nhint: write a whole number, e.g., `retries: 3`"
    )


def test_the_page_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        (tmp_path / name / "shared").mkdir(parents=True)
        (tmp_path / name / "scores.yaml").write_text(PIPELINE)
        (tmp_path / name / "shared/team.yaml").write_text(TEAM)
        (spec,) = load_specs(tmp_path / name / "scores.yaml", PRODUCTION)
        pages.append(build_dag(plan(spec, PRODUCTION)).doc_md)
    assert pages[0] == pages[1]
