"""A resumed run repeats the tasks whose inputs have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.cli.recipes import Recipes
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

PIPELINE = """
dag_id: p
start_date: 2013-01-01
tasks:
  - id: ingest
    uses: ingest
    with: {source: landing, target: bronze/a}
  - id: normalize
    uses: transform
    needs: ingest
    with: {sql: sql/a.sql, inputs: {raw: bronze/a}, target: silver/a}
  - id: train
    uses: retrain
    needs: normalize
    with: {entrypoint: "models.a:train", inputs: {features: silver/a}, model: a}
"""
TASKS = ("ingest", "normalize", "train")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "dags/p.yaml": PIPELINE,
        "dags/sql/a.sql": "select * from raw",
        "dags/models/a.py": "def train(features): ...",
        "dags/models/helper.py": "RATE = 1",
        "lake/landing/1.csv": "a\n1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def recipes(project: Path) -> Recipes:
    settings = Settings()
    (made,) = plan_all(load_specs(project / "dags/p.yaml", settings), settings)
    return Recipes(made, project / "recipes")


def begun(project: Path) -> None:
    for task in TASKS:
        recipes(project).note("run 1", task)


def test_nothing_has_changed(project: Path) -> None:
    begun(project)
    (project / "dags/models/a.py").touch()
    assert recipes(project).outdated("run 1", TASKS) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "outdated"),
    [
        ("dags/sql/a.sql", "select *", "select distinct *", ["normalize"]),
        ("dags/models/a.py", "...", "return features", ["train"]),
        ("dags/models/helper.py", "1", "2", ["train"]),
        ("dags/p.yaml", "model: a", "model: b", ["train"]),
        ("dags/p.yaml", "start_date: 2013-01-01", "start_date: 2013-01-02", []),
        ("dags/p.yaml", "needs: ingest", "needs: ingest\n    retries: 3", []),
        ("lake/landing/1.csv", "1", "10", ["ingest"]),
    ],
    ids=["sql", "function", "module-of-the-function", "argument", "start-date", "retries", "landed-file"],
)
def test_tasks_made_from_what_has_changed_are_outdated(
    project: Path, file: str, old: str, new: str, outdated: list[str]
) -> None:
    begun(project)
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    assert recipes(project).outdated("run 1", TASKS) == outdated


def test_only_finished_tasks_of_that_run_are_asked_about(project: Path) -> None:
    begun(project)
    (project / "dags/sql/a.sql").write_text("select 1")
    assert recipes(project).outdated("run 1", ["train"]) == []
    assert recipes(project).outdated("run 2", TASKS) == []


def test_file_that_lands_later_belongs_to_a_later_run(project: Path) -> None:
    begun(project)
    (project / "lake/landing/2.csv").write_text("a\n2\n")
    assert recipes(project).outdated("run 1", TASKS) == []


def test_last_try_counts(project: Path) -> None:
    begun(project)
    (project / "dags/sql/a.sql").write_text("select 1")
    recipes(project).note("run 1", "normalize")
    assert recipes(project).outdated("run 1", TASKS) == []
