"""The job `open_model` with models that open and cannot score."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError, UserCodeError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.open_model import open_model
from airflow_wall.jobs.retrain import retrain
from airflow_wall.storage.backends import open_tables

TRAIN = """
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from airflow_wall import Trained

FEATURES = ["items", "kind", "weight", "fast"]

class Line:
    def predict(self, rows):
        return rows["items"] * 10

class Broken:
    def predict(self, rows):
        return rows["items"] * self.slope

class Endless:
    def predict(self, rows):
        return rows["items"] * float("inf")

def train(orders):
    encode = ColumnTransformer([("kinds", OneHotEncoder(), ["kind"])], remainder="passthrough")
    model = make_pipeline(encode, LinearRegression())
    return Trained(model.fit(orders[FEATURES], orders["value"]), FEATURES, "value")

def train_own(orders):
    return Trained(Line(), ["items"], "value")

def save(model):
    return b"line"

def load(content):
    return Line()

def load_broken(content):
    return Broken()

def load_endless(content):
    return Endless()
"""


@pytest.fixture
def env(tmp_path: Path) -> Env:
    (tmp_path / "shop.py").write_text(TRAIN)
    part = Slice("20240101T000000Z", "2024-01-01T00:00:00+00:00")
    env = Env(Run("p", "r", "t", 1, part, tmp_path / "lake", tmp_path, tmp_path), lambda _: None)
    weights = pa.array([n / 2 for n in range(40)])
    values = {"items": range(40), "kind": ["a", "b"] * 20, "weight": weights, "fast": [True, False] * 20}
    rows = pa.table({**values, "value": [n * 10 for n in range(40)]})
    open_tables(env.run.storage).replace_slice("bronze/orders", rows, slice_id=part.id, number=part.number)
    return env


def test_a_model_that_scores_is_opened(env: Env) -> None:
    retrain(env, entrypoint="shop:train", inputs={"orders": "bronze/orders"}, model="value")
    assert open_model(env, model="value", version=1) == {"model": "value", "version": 1}


def test_a_model_that_opens_and_cannot_score_is_refused(env: Env) -> None:
    own = {"save": "shop:save", "load": "shop:load"}
    retrain(env, entrypoint="shop:train_own", inputs={"orders": "bronze/orders"}, model="value", **own)  # type: ignore[arg-type]
    assert open_model(env, model="value", version=1, load="shop:load")["version"] == 1
    with pytest.raises(UserCodeError, match="'Broken' object has no attribute 'slope'"):
        open_model(env, model="value", version=1, load="shop:load_broken")
    with pytest.raises(ModelError, match="its score of a row of usual values is not finite"):
        open_model(env, model="value", version=1, load="shop:load_endless")
