"""
A model that a later step cannot open does not become the champion.

Waits for: two real runs of a pipeline with a model of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import COMMAND

from airflow_wall.lake.lake import Lake
from airflow_wall.models.backends import open_registry

pytestmark = pytest.mark.integration

PIPELINE = f"""
dag_id: shop
start_date: 2024-03-01
tasks:
  - {{id: load, uses: ingest, with: {{source: landing, target: bronze/orders}}}}
  - id: fit
    uses: retrain
    needs: load
    with: {{entrypoint: "shop:train", inputs: {{orders: bronze/orders}}, model: value, save: "shop:save", load: "shop:load"}}
  - id: predict
    uses: predict
    needs: fit
    with: {{model: value, inputs: {{orders: bronze/orders}}, target: gold/values, python: {sys.executable}}}
"""

TRAIN = """
from airflow_wall import Trained

class Line:
    def predict(self, rows):
        return rows["items"] * 10

def train(orders):
    return Trained(Line(), ["items"], "value")

def save(model):
    return b"line"

def load(content):
    return Line()
"""


def run(folder: Path) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [COMMAND, "run", "dags/shop.yaml", "--date", "2024-03-01"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_model_that_predict_cannot_open_is_not_promoted(tmp_path: Path) -> None:
    landing = tmp_path / "lake" / "landing"
    for folder in (tmp_path / "dags", landing):
        folder.mkdir(parents=True)
    (landing / "1.csv").write_text("items,value\n" + "".join(f"{n},{n * 10}\n" for n in range(30)))
    (tmp_path / "dags" / "shop.py").write_text(TRAIN)
    (tmp_path / "dags" / "shop.yaml").write_text(PIPELINE)
    registry = open_registry(Lake(tmp_path / "lake"))
    code, text = run(tmp_path)
    assert code == 1
    assert (
        "version 1 of model `value` is not promoted, because task `predict` cannot use it: the model was saved by a "
        "function of your own, and the step names none that opens it"
    ) in text
    assert (registry.versions("value"), registry.champion("value")) == ([1], None)

    (tmp_path / "dags" / "shop.yaml").write_text(PIPELINE.replace("target: gold", 'load: "shop:load", target: gold'))
    code, text = run(tmp_path)
    assert code == 0, text
    champion = registry.champion("value")
    assert champion is not None
    assert "value version 1: rmse 0 -> promoted" in text
