"""Models of several targets, from training to the rows that they score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.errors import ModelError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.models.backends import open_registry
from airflow_wall.storage.backends import TableStore, open_tables

TRAIN = """
import catboost
import lightgbm
import xgboost
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.neural_network import MLPClassifier
from airflow_wall import Trained

NUMBERS = ["visits", "sales"]
FLAGS = ["returned", "late"]
CLASSES = ["kind", "side"]

def fitted(estimator, rows, targets):
    rows = rows.dropna(subset=targets)
    return Trained(estimator.fit(rows[["a", "b"]], rows[targets]), ["a", "b"], targets)

def line(rows):
    return fitted(LinearRegression(), rows, NUMBERS)

def mean(rows):
    return fitted(DummyRegressor(), rows, NUMBERS)

def trees(rows):
    return fitted(MultiOutputRegressor(lightgbm.LGBMRegressor(n_estimators=50, verbose=-1)), rows, NUMBERS)

def boosted(rows):
    return fitted(xgboost.XGBRegressor(n_estimators=50), rows, NUMBERS)

def cat(rows):
    model = catboost.CatBoostRegressor(50, loss_function="MultiRMSE", verbose=False, allow_writing_files=False)
    return fitted(model, rows, NUMBERS)

def classes(rows):
    return fitted(RandomForestClassifier(20, random_state=0), rows, CLASSES)

def each(rows):
    return fitted(MultiOutputClassifier(LogisticRegression()), rows, FLAGS)

def chain(rows):
    return fitted(ClassifierChain(LogisticRegression()), rows, FLAGS)

def network(rows):
    return fitted(MLPClassifier(solver="lbfgs", max_iter=2000, random_state=0), rows, FLAGS)

def margins(rows):
    return fitted(MultiOutputClassifier(RidgeClassifier()), rows, CLASSES)

def labels(rows):
    return fitted(xgboost.XGBClassifier(n_estimators=20), rows, FLAGS)

def cat_labels(rows):
    model = catboost.CatBoostClassifier(50, loss_function="MultiLogloss", verbose=False, allow_writing_files=False)
    return fitted(model, rows, FLAGS)

def unnamed(rows):
    return Trained(LinearRegression().fit(rows[["a", "b"]], rows[["visits", "id"]]), ["a", "b"], "visits")

def too_many(rows):
    return Trained(LinearRegression().fit(rows[["a", "b"]], rows["visits"]), ["a", "b"], NUMBERS)

def twice(rows):
    return Trained(LinearRegression().fit(rows[["a", "b"]], rows["visits"]), ["a", "b"], ["visits", "visits"])

def cost_score(observed, predicted):
    assert observed.shape == predicted.shape and observed.shape[1] == 2
    return -float(abs(observed - predicted).mean())
"""

NUMBERS = ["score_visits", "score_sales"]
FLAGS = ["score_returned", "score_late"]
KINDS = ["probability_kind_early", "probability_kind_on_time"]
SIDES = ["probability_side_left", "probability_side_right"]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    (tmp_path / "fits.py").write_text(TRAIN)
    part = Slice("20240101T000000Z", "2024-01-01T00:00:00+00:00")
    return Env(Run("p", "r", "t", 1, part, tmp_path / "lake", tmp_path, tmp_path), lambda _: None)


@pytest.fixture
def store(env: Env) -> TableStore:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 300))
    sales = pa.array(100 * (a - b), mask=np.arange(300) == 7)
    values = {"id": range(300), "a": a, "b": b, "visits": a + b, "sales": sales, "returned": (a > b).astype(int)}
    rows = pa.table(
        {**values, "late": a > 0, "kind": np.where(b > 0, "early", "on time"), "side": np.where(a > 0, "left", "right")}
    )
    tables = open_tables(env.run.storage)
    tables.replace_slice("silver/t", rows, slice_id=env.run.slice.id, number=env.run.slice.number)
    return tables


def train(env: Env, function: str, **more: object) -> dict[str, object]:
    return retrain(env, entrypoint=f"fits:{function}", inputs={"rows": "silver/t"}, model="m", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "metric", "outputs"),
    [
        ("line", "rmse", NUMBERS),
        ("trees", "rmse", NUMBERS),
        ("boosted", "rmse", NUMBERS),
        ("cat", "rmse", NUMBERS),
        ("each", "log_loss", FLAGS),
        ("chain", "log_loss", FLAGS),
        ("network", "log_loss", FLAGS),
        ("labels", "log_loss", FLAGS),
        ("cat_labels", "log_loss", FLAGS),
        ("classes", "log_loss", ["label_kind", "score_kind", *KINDS, "label_side", "score_side", *SIDES]),
        ("margins", "accuracy", ["label_kind", "label_side"]),
    ],
)
def test_each_target_has_its_columns(
    function: str, metric: str, outputs: list[str], env: Env, store: TableStore
) -> None:
    result = train(env, function)
    assert (result["promoted"], result["metric"]) == (True, metric)
    predict(env, model="m", inputs={"rows": "silver/t"}, target="gold/t", keep=["id", "visits", "returned", "kind"])
    rows = store.read("gold/t")
    assert rows.column_names[4:-3] == outputs
    table = rows.to_pandas()
    if outputs == NUMBERS:
        assert np.corrcoef(table["score_visits"], table["visits"])[0, 1] > 0.9
    elif outputs == FLAGS:
        assert ((table["score_returned"] > 0.5) == table["returned"]).mean() > 0.9
    else:
        assert (table["label_kind"] == table["kind"]).mean() > 0.9


def test_the_mean_over_the_targets_decides_and_each_is_recorded(env: Env, store: TableStore) -> None:
    train(env, "line", promote={"metric": "r2"})
    record = open_registry(env.run.storage).record("m", 1)
    assert (record.kind, record.target) == ("several", "visits, sales")
    assert record.metrics["r2"] == pytest.approx((record.metrics["r2_visits"] + record.metrics["r2_sales"]) / 2)
    assert record.rows_trained + record.rows_held_out == 299  # a row without one of its targets is in neither
    result = train(env, "mean", promote={"metric": "r2"})
    assert (result["promoted"], result["champion_version"]) == (False, 1)
    assert "worse" in str(result["reason"])


def test_a_function_of_ones_own_gets_a_column_for_each_target(env: Env, store: TableStore) -> None:
    result = train(env, "line", promote={"metric": "fits:cost_score"})
    assert result["promoted"]
    assert result["value"] == pytest.approx(0, abs=1e-9)


def test_a_model_of_other_targets_is_judged_by_the_baseline(env: Env, store: TableStore) -> None:
    train(env, "line")
    result = train(env, "each")
    assert result["champion_value"] is None
    assert "it predicts `visits, sales` (several)" in str(result["reason"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("unnamed", r"the scores of a model must have the shape \(\d+,\), got \(\d+, 2\)"),
        ("too_many", r"the scores of a model must have the shape \(\d+, 2\), got \(\d+,\)"),
        ("twice", "a model with the target `visits` twice"),
    ],
)
def test_targets_that_do_not_fit_the_estimator_are_refused(
    function: str, message: str, env: Env, store: TableStore
) -> None:
    with pytest.raises(ModelError, match=message):
        train(env, function)
    assert open_registry(env.run.storage).versions("m") == []
