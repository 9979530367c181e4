"""The article's pipeline as a plan: its tasks and its edges, to the letter."""

from __future__ import annotations

from pathlib import Path

from article import ARTICLE

from airflow_wall.lake.lake import Lake
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan
from airflow_wall.settings import Settings

PIPELINE = Path(__file__).parents[3] / "dags" / "platform_scores.yaml"


def made() -> Plan:
    (spec,) = load_specs(PIPELINE, Settings())
    return plan(spec, Settings())


def test_article_has_its_tasks_and_edges() -> None:
    found = {(other, task.task_id) for task in made().tasks for other in task.upstream}
    assert len(ARTICLE) == 25
    assert found == ARTICLE
    assert len(made().tasks) == 21


def test_two_plans_of_one_text_are_equal() -> None:
    assert made() == made()


def test_pipeline_with_a_release_runs_one_at_a_time() -> None:
    assert made().arguments["max_active_runs"] == 1


def test_storage_lies_in_the_project() -> None:
    project = PIPELINE.parents[1]
    assert (made().storage, made().project, made().code) == (Lake(project / "lake"), project, project / "dags")
