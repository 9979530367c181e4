"""XGBoost and CatBoost, saved in their own formats."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

catboost = pytest.importorskip("catboost")
xgboost = pytest.importorskip("xgboost")

from airflow_wall.errors import ModelError  # noqa: E402
from airflow_wall.models import formats  # noqa: E402

RNG = np.random.default_rng(1)
X = pd.DataFrame({"a": RNG.normal(size=200), "place": RNG.choice(["north", "south", "west"], 200)})
PLACES = pd.CategoricalDtype(["north", "south", "west"])
NUMBER = X["a"] * 2 + X["place"].map({"north": 0, "south": 5, "west": 9})
LATE = (NUMBER > 4).astype(int)
CODE = X["place"].map({"north": 0, "south": 1, "west": 2})
WORD = X["place"].str.upper()

XGB = {"n_estimators": 10, "enable_categorical": True, "n_jobs": 1}
CAT = {"iterations": 10, "cat_features": ["place"], "verbose": False, "allow_writing_files": False, "thread_count": 1}


@pytest.mark.parametrize(
    ("estimator", "target", "kind", "classes"),
    [
        (xgboost.XGBRegressor(**XGB), NUMBER, "regression", ()),
        (xgboost.XGBRegressor(**XGB, objective="count:poisson"), NUMBER.abs(), "regression", ()),
        (xgboost.XGBRegressor(**{**XGB, "n_estimators": 300}, early_stopping_rounds=2), NUMBER, "regression", ()),
        (xgboost.XGBClassifier(**XGB), LATE, "binary", ()),
        (xgboost.XGBClassifier(**XGB), CODE, "classes", (0, 1, 2)),
        (xgboost.XGBClassifier(**XGB, objective="multi:softmax"), CODE, "classes", (0, 1, 2)),
        (catboost.CatBoostRegressor(**CAT), NUMBER, "regression", ()),
        (catboost.CatBoostRegressor(**CAT, loss_function="Poisson"), NUMBER.abs(), "regression", ()),
        (catboost.CatBoostClassifier(**CAT), LATE, "binary", ()),
        (catboost.CatBoostClassifier(**CAT), WORD, "classes", ("NORTH", "SOUTH", "WEST")),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_a_model_scores_after_the_round_trip_as_before(
    estimator: Any, target: pd.Series, kind: str, classes: tuple[object, ...]
) -> None:
    is_xgboost = type(estimator).__module__.startswith("xgboost")
    rows = X.astype({"place": PLACES}) if is_xgboost else X
    more = {"eval_set": [(rows, target)], "verbose": False} if getattr(estimator, "early_stopping_rounds", None) else {}
    contents = []
    for _ in range(2):
        estimator.fit(rows, target, **more)
        contents.append(formats.dump(estimator, formats.format_of(estimator)))
    assert contents[0] == contents[1]  # a retry registers no second version
    name = "xgboost" if is_xgboost else "catboost"
    model = formats.load(contents[0], name)
    assert (model.kind, model.classes) == (kind, classes)
    expected = estimator.predict(rows) if kind == "regression" else estimator.predict_proba(rows)
    expected = expected[:, 1] if kind == "binary" else expected
    np.testing.assert_allclose(model.score(X), expected, rtol=1e-5)
    part = X[X["place"] == "west"]  # other categories, in another order, than those of the training rows
    np.testing.assert_allclose(model.score(part), expected[part.index], rtol=1e-5)
    assert formats.libraries(name).keys() == {"python", name}


def test_a_bare_booster_is_saved() -> None:
    booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(X[["a"]], NUMBER), num_boost_round=3)
    model = formats.load(formats.dump(booster, formats.format_of(booster)), "xgboost")
    np.testing.assert_allclose(model.score(X[["a"]]), booster.predict(xgboost.DMatrix(X[["a"]])))


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
@pytest.mark.parametrize("content", [b"", b"{}", b"not a model"])
def test_a_broken_file_is_a_model_error(name: str, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"cannot read the model"):
        formats.load(content, name)


@pytest.mark.parametrize("estimator", [xgboost.XGBRegressor(), catboost.CatBoostRegressor()])
def test_a_model_that_is_not_fitted_is_refused(estimator: Any) -> None:
    with pytest.raises(ModelError, match="is not fitted"):
        formats.dump(estimator, formats.format_of(estimator))


def test_rows_that_the_library_cannot_score_are_a_model_error() -> None:
    model = formats.load(formats.dump(xgboost.XGBRegressor(**XGB).fit(X[["a"]], NUMBER), "xgboost"), "xgboost")
    with pytest.raises(ModelError, match="XGBoost cannot score these rows"):
        model.score(X.rename(columns={"a": "b"}))
    model = formats.load(formats.dump(catboost.CatBoostRegressor(**CAT).fit(X, NUMBER), "catboost"), "catboost")
    with pytest.raises(ModelError, match="CatBoost cannot score these rows"):
        model.score(X.assign(place=None))


def test_another_number_of_targets_is_refused() -> None:
    both = xgboost.XGBRegressor(n_estimators=2).fit(X[["a"]], np.column_stack([NUMBER, NUMBER]))
    with pytest.raises(ModelError) as caught:
        formats.load(formats.dump(both, "xgboost"), "xgboost")
    assert str(caught.value) == (
        "the model of XGBoost predicts 2 targets, and `target` of `Trained` has 1\n\n"
        "hint: name all of them, in the order of the estimator"
    )


def test_a_library_that_is_not_installed_is_named() -> None:
    code = """
import sys
sys.modules["catboost"] = None
from airflow_wall.errors import ModelError
from airflow_wall.models import formats
try:
    formats.load(b"", "catboost")
except ModelError as error:
    print(error)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "hint: install `airflow-wall[catboost]`" in output
