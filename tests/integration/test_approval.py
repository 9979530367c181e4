"""
`approve: true` in a whole Airflow: a human approves a model, and nothing else waits for it.

Waits for: an Airflow to start, runs in it, and answers or none in each.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_server import TRIGGERER, AirflowServer, until, waiting
from project import REPOSITORY

from airflow_wall.lake.lake import Lake
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import open_tables

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PIPELINE = """
dag_id: shop
start_date: 2024-03-01
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: bronze/orders}}
  - id: fit
    uses: retrain
    needs: load
    with: {entrypoint: "shop:train", inputs: {orders: bronze/orders}, model: value, approve: true}
  - id: predict
    uses: predict
    needs: fit
    with: {model: value, version: 1, inputs: {orders: bronze/orders}, target: gold/values}
"""

TRAIN = """
from sklearn.linear_model import LinearRegression, Ridge
from airflow_wall import Trained

def train(orders):
    return Trained(LinearRegression().fit(orders[["items"]], orders["value"]), ["items"], "value")

def train_better(visits):
    model = Ridge(alpha=1000) if len(visits) <= 30 else LinearRegression()
    return Trained(model.fit(visits[["items"]], visits["value"]), ["items"], "value")
"""

MAPPED = """
dag_id: shops
start_date: 2024-03-01
tasks:
  - {id: load, uses: ingest, with: {source: visits, target: bronze/visits}}
  - id: fit
    uses: retrain
    needs: load
    with: {entrypoint: "shop:train_better", inputs: {visits: bronze/visits}, approve: true}
    expand: {model: [one, two]}
"""

SCORES = """
dag_id: scores
start_date: 2024-03-01
tasks:
  - id: one
    uses: predict
    with: {model: one, inputs: {visits: {table: bronze/visits, external: true}}, target: gold/one}
  - id: two
    uses: predict
    with: {model: two, inputs: {visits: {table: bronze/visits, external: true}}, target: gold/two}
"""

LATE = """
from datetime import datetime, timedelta
from airflow.sdk import DAG, task_group
from airflow_wall.operators.approve_model import ApproveModelOperator, PromoteModelOperator
from airflow_wall.operators.ingest import IngestOperator
from airflow_wall.operators.retrain import RetrainOperator

with DAG("late", start_date=datetime(2024, 3, 1), schedule=None):
    load = IngestOperator(task_id="load", source="landing", target="bronze/late")

    def add(name, models, timeout):
        fit = RetrainOperator.partial(
            task_id=f"fit_{name}", entrypoint="shop:train", inputs={"orders": "bronze/late"}, approve=True
        ).expand(model=models)
        load >> fit

        @task_group(group_id=name)
        def ask(result):
            common = {"retrain": fit.task_id, "result": result}
            approval = ApproveModelOperator(task_id="approval", response_timeout=timeout, **common)
            # With this rule, Airflow itself keeps no promotion back.
            approval >> PromoteModelOperator(
                task_id="promotion", approval=approval.task_id, trigger_rule="all_done", **common
            )

        ask.expand(result=fit.output)

    add("hurried", ["unanswered"], timedelta(seconds=5))
    add("patient", ["failed", "marked", "chosen"], None)
"""

DATES = ("2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def airflow(project: Path) -> Iterator[AirflowServer]:
    dags = project / "dags"
    dags.mkdir()
    shutil.copy(REPOSITORY / "dags" / "pipelines.py", dags)
    (dags / "shop.yaml").write_text(PIPELINE)
    (dags / "shops.yaml").write_text(MAPPED)
    (dags / "scores.yaml").write_text(SCORES)
    (dags / "late.py").write_text(LATE)
    (dags / "shop.py").write_text(TRAIN)
    for name in ("landing", "visits"):
        (project / "lake" / name).mkdir(parents=True)
        (project / "lake" / name / "1.csv").write_text(rows(0, 30))
    with AirflowServer(project / "airflow", dags, {}, others=TRIGGERER) as server:
        for _ in waiting(180):
            if {"shop", "shops", "scores", "late"} <= server.active_dags():
                break
        yield server


def rows(first: int, last: int) -> str:
    return "items,value\n" + "".join(f"{n},{n * 10}\n" for n in range(first, last))


def answer(airflow: AirflowServer, run_id: str, option: str) -> dict[str, str]:
    """Wait until the run asks and everything else has ended, answer, and return the states in between."""
    path = f"/dags/shop/dagRuns/{run_id}/taskInstances/fit_approval/-1/hitlDetails"
    until(lambda: airflow.client.get(path).is_success)
    until(lambda: airflow.states("shop", run_id)["predict"] == "success")
    between = airflow.states("shop", run_id)
    details = airflow.get(path)
    assert details["subject"].startswith("Make version ")
    assert "| rmse | " in details["body"]
    airflow.client.patch(path, json={"chosen_options": [option], "params_input": {}}).raise_for_status()
    return between


def instances(airflow: AirflowServer, dag_id: str, run_id: str, task_id: str) -> list[str]:
    """Return the states of the task instances of a mapped task."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/listMapped"
    mapped = airflow.get(path, order_by="map_index")["task_instances"]
    return [instance["state"] for instance in mapped]


def answer_each(airflow: AirflowServer, dag_id: str, run_id: str, task_id: str, options: dict[int, str]) -> list[str]:
    """Wait until each task instance asks, answer these ones, and return the subjects."""
    task = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    paths = {place: f"{task}/{place}/hitlDetails" for place in options}
    until(lambda: all(airflow.client.get(path).is_success for path in paths.values()))
    subjects = [airflow.get(path)["subject"] for path in paths.values()]
    time.sleep(5)  # Airflow fails a task that goes on before the scheduler has seen that its first process ended
    for place, option in options.items():
        body = {"chosen_options": [option], "params_input": {}}
        airflow.client.patch(paths[place], json=body).raise_for_status()
    return subjects


def test_a_model_becomes_the_champion_when_a_human_approves_it(airflow: AirflowServer, project: Path) -> None:
    registry = open_registry(Lake(project / "lake"))
    run_id = airflow.trigger("shop", DATES[0])
    between = answer(airflow, run_id, "Reject")
    assert between["fit_approval"] in ("awaiting_input", "deferred")  # it holds no worker
    assert airflow.finished("shop", run_id)[1]["fit_promotion"] == "skipped"
    assert registry.champion("value") is None

    (project / "lake" / "landing" / "2.csv").write_text(rows(40, 41))
    run_id = airflow.trigger("shop", DATES[1])
    answer(airflow, run_id, "Approve")
    assert airflow.finished("shop", run_id)[0] == "success"
    champion = registry.champion("value")
    assert champion is not None
    assert champion.version == 2


def test_each_model_of_a_mapped_task_is_approved_by_itself(airflow: AirflowServer, project: Path) -> None:
    run_id = airflow.trigger("shops", DATES[0])
    subjects = answer_each(airflow, "shops", run_id, "fit_approval", {0: "Approve", 1: "Approve"})
    assert subjects == [f"Make version 1 the champion of model `{model}`?" for model in ("one", "two")]
    assert airflow.finished("shops", run_id)[0] == "success"
    assert champions(project, "one", "two") == [1, 1]

    (project / "lake" / "visits" / "2.csv").write_text(rows(30, 60))
    run_id = airflow.trigger("shops", DATES[1])
    answer_each(airflow, "shops", run_id, "fit_approval", {0: "Reject", 1: "Approve"})
    assert airflow.finished("shops", run_id)[0] == "success"
    assert instances(airflow, "shops", run_id, "fit_promotion") == ["skipped", "success"]
    assert champions(project, "one", "two") == [1, 2]

    run_id = airflow.trigger("scores", DATES[1])
    assert airflow.finished("scores", run_id)[0] == "success"
    tables = open_tables(project / "lake")
    assert {*tables.read("gold/one")["model_version"].to_pylist()} == {1}
    assert {*tables.read("gold/two")["model_version"].to_pylist()} == {2}


def test_a_model_without_an_approval_is_not_promoted(airflow: AirflowServer, project: Path) -> None:
    run_id = airflow.trigger("late", DATES[0])
    answer_each(airflow, "late", run_id, "patient.approval", {2: "Approve"})
    path = f"/dags/late/dagRuns/{run_id}/taskInstances/patient.approval"
    for place, state in ((0, "failed"), (1, "success")):
        airflow.client.patch(f"{path}/{place}", json={"new_state": state}).raise_for_status()
    airflow.finished("late", run_id)
    assert instances(airflow, "late", run_id, "hurried.approval") == ["failed"]
    assert instances(airflow, "late", run_id, "hurried.promotion") == ["skipped"]
    assert instances(airflow, "late", run_id, "patient.approval") == ["failed", "success", "success"]
    assert instances(airflow, "late", run_id, "patient.promotion") == ["skipped", "skipped", "success"]
    assert champions(project, "unanswered", "failed", "marked", "chosen") == [None, None, None, 1]


def champions(project: Path, *models: str) -> list[Any]:
    """Return the versions of the champions."""
    registry = open_registry(Lake(project / "lake"))
    return [champion and champion.version for champion in map(registry.champion, models)]
