"""
A model of one scikit-learn does not become the champion if the scikit-learn of `predict` cannot use it.

Waits for: two venvs that are filled from the package index, and two runs in them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from project import COMMAND

from airflow_wall.lake.lake import Lake
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import open_tables

pytestmark = [pytest.mark.integration, pytest.mark.full]

NEW = "requirements: [scikit-learn==1.8.0]"
OLD = "requirements: [scikit-learn==1.6.1]"

PIPELINE = f"""
dag_id: shop
start_date: 2024-03-01
tasks:
  - {{id: load, uses: ingest, with: {{source: landing, target: bronze/orders}}}}
  - id: fit_value
    uses: retrain
    needs: load
    with: {{entrypoint: "shop:train_value", inputs: {{orders: bronze/orders}}, model: value, {NEW}}}
  - id: fit_returned
    uses: retrain
    needs: load
    with: {{entrypoint: "shop:train_returned", inputs: {{orders: bronze/orders}}, model: returned, {NEW}}}
  - id: predict_value
    uses: predict
    needs: fit_value
    with: {{model: value, inputs: {{orders: bronze/orders}}, target: gold/value, {OLD}}}
  - id: predict_returned
    uses: predict
    needs: fit_returned
    with: {{model: returned, inputs: {{orders: bronze/orders}}, target: gold/returned, {OLD}}}
"""

TRAIN = """
from sklearn.linear_model import LinearRegression, LogisticRegression
from airflow_wall import Trained

def train_value(orders):
    return Trained(LinearRegression().fit(orders[["items"]], orders["value"]), ["items"], "value")

def train_returned(orders):
    return Trained(LogisticRegression().fit(orders[["items"]], orders["returned"]), ["items"], "returned")
"""


def run(folder: Path, cache: Path) -> tuple[int, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    ran = subprocess.run(
        [COMMAND, "run", "dags/shop.yaml", "--date", "2024-03-01"],
        cwd=folder,
        env={**inherited, "AIRFLOW__WALL__VENV_CACHE": str(cache)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_a_model_that_predicts_scikit_learn_cannot_use_is_not_promoted(tmp_path: Path) -> None:
    landing = tmp_path / "lake" / "landing"
    for folder in (tmp_path / "dags", landing):
        folder.mkdir(parents=True)
    lines = [f"{n},{n * 10},{int(n > 30)}\n" for n in range(60)]
    (landing / "1.csv").write_text("items,value,returned\n" + "".join(lines))
    (tmp_path / "dags" / "shop.py").write_text(TRAIN)
    (tmp_path / "dags" / "shop.yaml").write_text(PIPELINE)
    registry = open_registry(Lake(tmp_path / "lake"))
    code, text = run(tmp_path, tmp_path / "venvs")
    assert code == 1, text
    assert ("version 1 of model `returned` is not promoted, because task `predict_returned` cannot use it: ") in text
    assert "scikit-learn 1.8.0 (here: 1.6.1)" in text
    assert registry.record("returned", 1).libraries["scikit-learn"] == "1.8.0"
    assert (registry.versions("returned"), registry.champion("returned")) == ([1], None)
    assert registry.champion("value") is not None  # another version alone is no reason
    assert open_tables(tmp_path / "lake").read("gold/value").num_rows == 60

    (tmp_path / "dags" / "shop.yaml").write_text(PIPELINE.replace(OLD, NEW))
    code, text = run(tmp_path, tmp_path / "venvs")
    assert code == 0, text
    assert registry.champion("returned") is not None
    assert open_tables(tmp_path / "lake").read("gold/returned").num_rows == 60
