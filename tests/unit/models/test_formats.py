from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from airflow_wall.errors import ModelError
from airflow_wall.models import formats

RNG = np.random.default_rng(7)
X = pd.DataFrame({"a": RNG.normal(size=200), "b": RNG.normal(size=200)})
Y = X["a"] * 2 + X["b"]
LGBM = {"n_estimators": 5, "num_threads": 1, "verbosity": -1}


def round_trip(estimator):
    name = formats.format_of(estimator)
    return formats.load(formats.dump(estimator, name), name)


@pytest.mark.parametrize(
    "estimator",
    [
        lightgbm.LGBMRegressor(**LGBM),
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        HistGradientBoostingRegressor(max_iter=5),
        make_pipeline(StandardScaler(), lightgbm.LGBMRegressor(**LGBM)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_regressor_scores_after_the_round_trip_as_before(estimator):
    estimator.fit(X, Y)
    model = round_trip(estimator)
    assert model.kind == "regression"
    np.testing.assert_allclose(model.score(X), estimator.predict(X))


@pytest.mark.parametrize(
    "estimator",
    [lightgbm.LGBMClassifier(**LGBM), LogisticRegression(), RandomForestClassifier(5, random_state=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifier_scores_the_probability_of_1(estimator):
    estimator.fit(X, (Y > 0).astype(int))
    model = round_trip(estimator)
    assert model.kind == "binary"
    np.testing.assert_allclose(model.score(X), estimator.predict_proba(X)[:, 1])


def test_a_bare_booster_is_saved():
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(X, Y), num_boost_round=3)
    np.testing.assert_allclose(round_trip(booster).score(X), booster.predict(X))


def test_text_columns_reach_lightgbm_as_the_categories_it_was_fitted_on():
    rows = X.assign(place=np.where(RNG.random(200) > 0.5, "north", "south"))
    target = Y + 10 * (rows["place"] == "north")
    estimator = lightgbm.LGBMRegressor(**LGBM).fit(rows.astype({"place": "category"}), target)
    model = round_trip(estimator)
    one_side = rows[rows["place"] == "north"]  # other categories, in another order, than those of the training rows
    assert model.score(one_side).mean() > model.score(one_side.assign(place="south")).mean()


def test_text_columns_reach_a_scikit_learn_pipeline():
    rows = X.assign(place=np.where(RNG.random(200) > 0.5, "north", "south"))
    encode = make_column_transformer((OneHotEncoder(), ["place"]), remainder="passthrough")
    estimator = make_pipeline(encode, Ridge()).fit(rows, Y)
    np.testing.assert_allclose(round_trip(estimator).score(rows), estimator.predict(rows))


DUMP = """
import hashlib, sys
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from airflow_wall.models import formats
X = np.random.default_rng(0).normal(size=(50, 3))
junk = [object() for _ in range(int(sys.argv[1]))]
for last in (Ridge(), RandomForestRegressor(3, random_state=0)):
    print(hashlib.sha256(formats.dump(make_pipeline(StandardScaler(), last).fit(X, X[:, 0]), "skops")).hexdigest())
"""


def test_the_same_estimator_gives_the_same_bytes_in_another_process():
    runs = [subprocess.Popen([sys.executable, "-c", DUMP, n], stdout=subprocess.PIPE, text=True) for n in "19"]
    first, second = (run.communicate(timeout=60)[0].split() for run in runs)
    assert first == second
    assert len(set(first)) == 2


class Runs:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("name", ["lightgbm", "skops"])
def test_a_pickle_is_never_run(tmp_path, name):
    marker = tmp_path / "it-ran"
    content = pickle.dumps(Runs(marker))
    with pytest.raises(ModelError):
        formats.load(content, name)
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists()  # so the file was a real one


def test_a_skops_file_with_a_function_that_runs_commands_is_refused():
    content = skops.io.dumps(FunctionTransformer(os.system))
    with pytest.raises(ModelError) as caught:
        formats.load(content, "skops")
    assert str(caught.value) == (
        f"the model must hold classes of scikit-learn and LightGBM only, got `posix.system` (scikit-learn {sklearn.__version__})"
        "\n\nhint: replace that part by one of scikit-learn, or compute it in an earlier transform"
    )


class Mine(Ridge):
    pass


class NoEstimator:
    pass


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            NoEstimator(),
            f"an estimator of type `{__name__}.NoEstimator` cannot be saved; supported are LightGBM, XGBoost, CatBoost, PyTorch, "
            "and scikit-learn (regressors, classifiers, and pipelines that end in one)\n\n"
            "hint: return one of these as `Trained(estimator=...)`, or name functions as `save` and `load`",
        ),
        (
            Mine().fit(X, Y),
            f"the `Mine` must hold classes of scikit-learn and LightGBM only, got `{__name__}.Mine` "
            f"(scikit-learn {sklearn.__version__})\n\n"
            "hint: replace that part by one of scikit-learn, or compute it in an earlier transform",
        ),
        (Ridge(), "the `Ridge` is not fitted\n\nhint: call its `fit` first"),
        (lightgbm.LGBMRegressor(), "the `LGBMRegressor` is not fitted\n\nhint: call its `fit` first"),
        (
            KMeans(2, n_init=1).fit(X),
            "the `KMeans` is neither a regressor nor a classifier\n\nhint: end the pipeline with one of them",
        ),
    ],
    ids=[
        "no-estimator",
        "own-class",
        "ridge-not-fitted",
        "lightgbm-not-fitted",
        "clusterer",
    ],
)
def test_what_cannot_be_saved_is_refused(estimator, message):
    with pytest.raises(ModelError) as caught:
        formats.dump(estimator, formats.format_of(estimator))
    assert str(caught.value) == message


def test_an_unknown_format_is_refused():
    with pytest.raises(ModelError) as caught:
        formats.load(b"", "onnx")
    assert str(caught.value) == (
        "the model format must be one of `catboost`, `lightgbm`, `own`, `safetensors`, `skops`, `xgboost`, got `onnx`\n\n"
        "hint: upgrade airflow-wall where this runs: a newer one wrote the model"
    )


def test_rows_that_the_library_cannot_score_are_a_model_error():
    model = round_trip(Ridge().fit(X, Y))
    with pytest.raises(ModelError) as caught:
        model.score(X.assign(b=np.nan))
    assert str(caught.value) == "`Ridge` cannot score these rows: Input X contains NaN."


THREE = np.where(Y > 0.5, "late", np.where(Y < -0.5, "early", "on time"))
CLASSIFIERS = [
    (LogisticRegression().fit(X, THREE), ("early", "late", "on time"), True),
    (LogisticRegression().fit(X, np.where(Y > 0, 5, 3)), (3, 5), True),
    (SVC().fit(X, THREE), ("early", "late", "on time"), False),
    (SVC().fit(X, Y > 0), (0, 1), False),
    (lightgbm.LGBMClassifier(**LGBM).fit(X, THREE), ("early", "late", "on time"), True),
    (lightgbm.LGBMClassifier(**LGBM).fit(X, np.where(Y > 0, "late", "early")), ("early", "late"), True),
    (lightgbm.LGBMClassifier(**LGBM).fit(X, np.where(Y > 0.5, 7, np.where(Y < -0.5, 3, 5))), (3, 5, 7), True),
]


@pytest.mark.parametrize(
    ("estimator", "classes", "has_probabilities"),
    CLASSIFIERS,
    ids=["texts", "3 and 5", "no probabilities", "booleans", "lightgbm, three", "lightgbm, two", "lightgbm, numbers"],
)
def test_a_classifier_of_any_classes_names_them(estimator, classes, has_probabilities):
    model = round_trip(estimator)
    assert (model.kind, model.classes, model.has_probabilities) == ("classes", classes, has_probabilities)
    scores = model.score(X)
    assert scores.shape == (len(X), len(classes))
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(X)))
    labels = [classes[place] for place in np.argmax(scores, axis=1)]
    assert labels == estimator.predict(X).tolist()
    if has_probabilities:
        assert scores == pytest.approx(estimator.predict_proba(X))


def test_classes_that_are_no_names_are_refused():
    estimator = LogisticRegression().fit(X, np.where(Y > 0, "late", "early"))
    estimator.classes_ = np.array([0.25, 0.5])
    with pytest.raises(ModelError, match=r"must be texts or whole numbers, got `0\.25`"):
        formats.load(formats.dump(estimator, "skops"), "skops")


def test_another_number_of_targets_is_refused():
    content = formats.dump(RandomForestClassifier(3).fit(X, np.column_stack([Y > 0, Y > 1])), "skops")
    with pytest.raises(ModelError, match="predicts 2 targets"):
        formats.load(content, "skops")
    with pytest.raises(ModelError, match="predicts 2 targets, and `target` of `Trained` has 3: a, b, c"):
        formats.load(content, "skops", targets=["a", "b", "c"])
