"""
`approve: true` in a whole Airflow: a human approves a model, and nothing else waits for it.

Waits for: an Airflow to start, two runs and an answer in each.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_server import TRIGGERER, AirflowServer, until, waiting
from project import REPOSITORY

from airflow_wall.models.backends import open_registry

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

MAPPED = """
dag_id: shops
start_date: 2024-03-01
tasks:
  - {id: load, uses: ingest, with: {source: landing, target: bronze/visits}}
  - id: fit
    uses: retrain
    needs: load
    with: {entrypoint: "shop:train", inputs: {orders: bronze/visits}, approve: true}
    expand: {model: [one, two]}
"""

TRAIN = """
from sklearn.linear_model import LinearRegression
from airflow_wall import Trained

def train(orders):
    return Trained(LinearRegression().fit(orders[["items"]], orders["value"]), ["items"], "value")
"""


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowServer]:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(REPOSITORY / "dags" / "pipelines.py", dags)
    (dags / "shop.yaml").write_text(PIPELINE)
    (dags / "shops.yaml").write_text(MAPPED)
    (dags / "shop.py").write_text(TRAIN)
    landing = tmp_path / "lake" / "landing"
    landing.mkdir(parents=True)
    (landing / "1.csv").write_text("items,value\n" + "".join(f"{n},{n * 10}\n" for n in range(30)))
    with AirflowServer(tmp_path / "airflow", dags, {}, others=TRIGGERER) as server:
        yield server


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


def test_a_model_becomes_the_champion_when_a_human_approves_it(airflow: AirflowServer, tmp_path: Path) -> None:
    for _ in waiting(60):
        if "shop" in airflow.active_dags():
            break
    registry = open_registry(tmp_path / "lake" / "_wall")
    run_id = airflow.trigger("shop", "2024-03-01T00:00:00Z")
    between = answer(airflow, run_id, "Reject")
    assert between["fit_approval"] in ("awaiting_input", "deferred")  # it holds no worker
    assert airflow.finished("shop", run_id)[1]["fit_promotion"] == "skipped"
    assert registry.champion("value") is None

    (tmp_path / "lake" / "landing" / "2.csv").write_text("items,value\n40,400\n")
    run_id = airflow.trigger("shop", "2024-03-02T00:00:00Z")
    answer(airflow, run_id, "Approve")
    assert airflow.finished("shop", run_id)[0] == "success"
    champion = registry.champion("value")
    assert champion is not None
    assert champion.version == 2


def test_each_model_of_a_mapped_task_is_approved_by_itself(airflow: AirflowServer, tmp_path: Path) -> None:
    for _ in waiting(60):
        if "shops" in airflow.active_dags():
            break
    registry = open_registry(tmp_path / "lake" / "_wall")
    run_id = airflow.trigger("shops", "2024-03-01T00:00:00Z")
    paths = [f"/dags/shops/dagRuns/{run_id}/taskInstances/fit_approval/{place}/hitlDetails" for place in (0, 1)]
    until(lambda: all(airflow.client.get(path).is_success for path in paths))
    time.sleep(5)  # Airflow fails a task that goes on before the scheduler has seen that its first process ended
    for place, option in ((0, "Reject"), (1, "Approve")):
        path = paths[place]
        assert f"of model `{('one', 'two')[place]}`?" in airflow.get(path)["subject"]
        answer = {"chosen_options": [option], "params_input": {}}
        airflow.client.patch(path, json=answer).raise_for_status()
    assert airflow.finished("shops", run_id)[0] == "success"
    champion = registry.champion("two")
    assert (registry.champion("one"), champion and champion.version) == (None, 1)
