"""
Estimators and pipelines of scikit-learn that people use are saved, opened again, and score as before.

Waits for: fitting about a hundred models.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import all_estimators

from airflow_wall.errors import ModelError
from airflow_wall.models import formats

ROWS = 120
RANDOM = np.random.default_rng(0)
NUMBERS = pd.DataFrame({name: RANDOM.random(ROWS) for name in "abc"})
MIXED = NUMBERS.assign(kind=pd.Series(RANDOM.choice(["x", "y", "z"], ROWS), dtype="str"))
CLASSES = (NUMBERS["a"] + 0.1 * RANDOM.random(ROWS) > 0.55).astype(int)
VALUES = NUMBERS["a"] * 3 + NUMBERS["b"]


def columns() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
            (
                "kinds",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                ["kind"],
            ),
        ]
    )


PIPELINES: dict[str, Any] = {
    "imputer": make_pipeline(SimpleImputer(), RandomForestClassifier(10)),
    "neighbours": make_pipeline(KNNImputer(), Ridge()),
    "columns, classifier": make_pipeline(columns(), LogisticRegression()),
    "columns, regressor": make_pipeline(columns(), RandomForestRegressor(10)),
    "ordinal": make_pipeline(
        ColumnTransformer([("kinds", OrdinalEncoder(), ["kind"])], remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=5),
    ),
    "target encoder": make_pipeline(
        ColumnTransformer([("kinds", TargetEncoder(), ["kind"])], remainder="passthrough"), Ridge()
    ),
    "grid search": GridSearchCV(Ridge(), {"alpha": [0.1, 1]}),
    "grid search of a pipeline": GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}
    ),
    "random search": RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1, 2]}, n_iter=2, random_state=0),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(5)),
    "select": make_pipeline(SelectKBest(f_classif, k=2), LogisticRegression()),
    "function of numpy": make_pipeline(FunctionTransformer(np.log1p), Ridge()),
    "polynomial": make_pipeline(PolynomialFeatures(2), Ridge()),
    "bins": make_pipeline(KBinsDiscretizer(strategy="uniform"), LogisticRegression()),
    "spline": make_pipeline(SplineTransformer(), Ridge()),
    "target": TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    "stacking": StackingRegressor([("a", Ridge()), ("b", RandomForestRegressor(5))]),
    "voting": VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft"),
}
MIXED_PIPELINES = {"columns, classifier", "columns, regressor", "ordinal", "target encoder"}


def estimators() -> list[tuple[str, BaseEstimator]]:
    found = []
    for kind in ("classifier", "regressor"):
        for name, cls in all_estimators(type_filter=kind):
            if "Multi" not in name and "Chain" not in name:
                with contextlib.suppress(TypeError, FutureWarning):  # it needs arguments, or is deprecated
                    found.append((name, cls()))
    return found


def fitted(estimator: Any, rows: pd.DataFrame) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small data do not converge
        return estimator.fit(rows, CLASSES if is_classifier(estimator) else VALUES)


def check_round_trip(estimator: Any, rows: pd.DataFrame) -> None:
    name = formats.format_of(estimator)
    content = formats.dump(estimator, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = formats.load(content, name)
        scores = model.score(rows)
        if model.kind == "classes":  # a classifier without probabilities
            scores, expected = np.argmax(scores, axis=1), estimator.predict(rows)
        else:
            expected = estimator.predict_proba(rows)[:, 1] if is_classifier(estimator) else estimator.predict(rows)
        np.testing.assert_allclose(scores, np.asarray(expected).reshape(ROWS))


@pytest.mark.parametrize("estimator", [pytest.param(estimator, id=name) for name, estimator in estimators()])
def test_an_estimator_is_saved_and_scores_as_before(estimator: BaseEstimator) -> None:
    try:
        model = fitted(estimator, NUMBERS)
    except (ValueError, AttributeError):
        pytest.skip("it cannot be fitted on these rows")
    check_round_trip(model, NUMBERS)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_saved_and_scores_as_before(name: str) -> None:
    rows = MIXED if name in MIXED_PIPELINES else NUMBERS
    check_round_trip(fitted(PIPELINES[name], rows), rows)


def test_a_column_of_categories_is_saved() -> None:
    rows = MIXED.astype({"kind": "category"})
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features=["kind"])
    check_round_trip(fitted(model, rows), rows)


@pytest.mark.parametrize(
    "function", ["sklearn.datasets._base.load_files", "sklearn.utils.parallel.Parallel", "sklearn.externals._arff.load"]
)
def test_parts_of_scikit_learn_that_are_no_model_are_refused(function: str) -> None:
    import importlib

    import skops.io

    module, _, name = function.rpartition(".")
    part = getattr(importlib.import_module(module), name)
    content = skops.io.dumps(FunctionTransformer(part))
    with pytest.raises(ModelError, match="must hold classes of scikit-learn and LightGBM only"):
        formats.load(content, "skops")
