"""
Train functions as people write them, with the libraries' usual parts: each trains, wins, and scores new rows.

Waits for: about a dozen trainings.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.predict import predict
from airflow_wall.jobs.retrain import retrain
from airflow_wall.storage.backends import TableStore, open_tables

SCRIPTS = """
import catboost
import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from airflow_wall import Trained

NUMERIC = ["age", "fare", "distance"]
CATEGORICAL = ["city", "plan"]
FEATURES = NUMERIC + CATEGORICAL


def preprocessor():
    numeric = Pipeline([("imputer", SimpleImputer(strategy="median")), ("scaler", StandardScaler())])
    categorical = Pipeline([
        ("imputer", SimpleImputer(strategy="most_frequent")),
        ("encoder", OneHotEncoder(handle_unknown="ignore")),
    ])
    return ColumnTransformer([("num", numeric, NUMERIC), ("cat", categorical, CATEGORICAL)])


def grid_search(rows):
    pipe = Pipeline([("prep", preprocessor()), ("clf", LogisticRegression(max_iter=1000))])
    grid = GridSearchCV(pipe, {"clf__C": [0.1, 1.0, 10.0]}, cv=3, scoring="roc_auc")
    grid.fit(rows[FEATURES], rows["churned"])
    return Trained(grid, FEATURES, "churned", metrics={"cv_auc": grid.best_score_})


def lightgbm_early_stopping(rows):
    rows = rows.copy()
    rows[CATEGORICAL] = rows[CATEGORICAL].astype("category")
    X_train, X_valid, y_train, y_valid = train_test_split(rows[FEATURES], rows["price"], test_size=0.2, random_state=42)
    model = lgb.LGBMRegressor(n_estimators=200, learning_rate=0.1, verbose=-1)
    model.fit(X_train, y_train, eval_X=X_valid, eval_y=y_valid, callbacks=[lgb.early_stopping(10, verbose=False)])
    return Trained(model, FEATURES, "price")


def lightgbm_booster(rows):
    rows = rows.copy()
    rows[CATEGORICAL] = rows[CATEGORICAL].astype("category")
    data = lgb.Dataset(rows[FEATURES], label=rows["churned"])
    booster = lgb.train({"objective": "binary", "verbosity": -1}, data, num_boost_round=30)
    return Trained(booster, FEATURES, "churned")


def xgboost_categories(rows):
    X = rows[FEATURES].astype({name: "category" for name in CATEGORICAL})
    model = xgb.XGBClassifier(n_estimators=50, tree_method="hist", enable_categorical=True, max_depth=4)
    model.fit(X, rows["churned"])
    return Trained(model, X.columns, "churned")


def catboost_features(rows):
    X = rows[["fare", "distance", "plan"]]
    model = catboost.CatBoostClassifier(
        iterations=50, cat_features=["plan"], verbose=False, allow_writing_files=False, random_seed=1
    )
    model.fit(X, rows["churned"])
    return Trained(model, X.columns, "churned")


def time_split(rows):
    rows = rows.sort_values("ordered_at")
    model = make_pipeline(SimpleImputer(), HistGradientBoostingRegressor(max_iter=50))
    search = GridSearchCV(model, {"histgradientboostingregressor__max_depth": [3, 5]}, cv=TimeSeriesSplit(3))
    search.fit(rows[NUMERIC], rows["price"])
    return Trained(search.best_estimator_, NUMERIC, "price")


def multiclass(rows):
    model = make_pipeline(preprocessor(), RandomForestClassifier(30, random_state=0)).fit(rows[FEATURES], rows["status"])
    return Trained(model, FEATURES, "status")


def multiclass_xgboost(rows):
    model = xgb.XGBClassifier(n_estimators=20).fit(rows[NUMERIC], rows["status_code"])
    return Trained(model, NUMERIC, "status_code")


def calibrated(rows):
    base = make_pipeline(preprocessor(), RandomForestClassifier(20, random_state=0))
    model = CalibratedClassifierCV(base, method="isotonic", cv=3).fit(rows[FEATURES], rows["churned"])
    return Trained(model, FEATURES, "churned")


def add_ratios(X):
    X = X.copy()
    X["fare_per_km"] = X["fare"] / (X["distance"] + 1)
    return X


def own_function(rows):
    model = make_pipeline(FunctionTransformer(add_ratios), SimpleImputer(), StandardScaler(), Ridge())
    model.fit(rows[NUMERIC], rows["price"])
    return Trained(model, NUMERIC, "price")


def log_target(rows):
    model = TransformedTargetRegressor(
        make_pipeline(preprocessor(), Ridge()), func=np.log1p, inverse_func=np.expm1
    ).fit(rows[FEATURES], rows["price"])
    return Trained(model, FEATURES, "price")


def selector(rows):
    prep = ColumnTransformer([
        ("num", SimpleImputer(), make_column_selector(dtype_include=np.number)),
        ("cat", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1), make_column_selector(dtype_include=["object", "string", "str"])),
    ])
    model = make_pipeline(prep, SelectKBest(f_classif, k=3), LogisticRegression(max_iter=1000))
    model.fit(rows[FEATURES], rows["churned"])
    return Trained(model, FEATURES, "churned")


def multi_output(rows):
    model = make_pipeline(preprocessor(), RandomForestRegressor(20, random_state=0)).fit(rows[FEATURES], rows[["price", "tip"]])
    return Trained(model, FEATURES, ["price", "tip"])
"""

SCORES = {
    "multiclass": "label",
    "multiclass_xgboost": "label",
    "multi_output": "score_tip",
}
NAMES = [line.split("(")[0].removeprefix("def ") for line in SCRIPTS.splitlines() if line.endswith("(rows):")]


def rows(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    age, distance = random.integers(18, 80, count), random.gamma(2, 5, count)
    fare = 3 + 2 * distance + random.normal(size=count)
    city, plan = random.choice(["Lisbon", "Porto", "Faro"], count), random.choice(["basic", "plus"], count)
    churned = (age / 80 + (plan == "basic") * 0.5 + random.normal(size=count) * 0.2 > 1).astype(int)
    status = np.where(fare > 25, "very late", np.where(fare > 10, "late", "on time"))
    known = random.random(count) > 0.05
    return pa.table(
        {
            "id": range(count),
            "ordered_at": np.datetime64("2024-01-01", "us") + np.arange(count) * np.timedelta64(3600, "s"),
            "age": pa.array(age.astype(float), mask=~known),
            "fare": fare,
            "distance": distance,
            "city": pa.array(city, mask=~known[::-1]),
            "plan": plan,
            "churned": churned,
            "price": fare * 1.2 + (city == "Porto") * 5 + 1,
            "tip": fare * 0.1,
            "status": status,
            "status_code": np.select([status == "very late", status == "late"], [2, 1], 0),
        }
    )


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Env:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "scripts.py").write_text(SCRIPTS)
    part = Slice("20240101T000000Z", "2024-01-01T00:00:00+00:00")
    return Env(Run("p", "r", "t", 1, part, folder / "lake", folder, folder), lambda _: None)


@pytest.fixture(scope="module")
def store(env: Env) -> TableStore:
    tables = open_tables(env.run.storage)
    for name, count, seed in (("train", 600, 0), ("new", 50, 1)):
        tables.replace_slice(
            f"silver/{name}", rows(count, seed), slice_id=env.run.slice.id, number=env.run.slice.number
        )
    return tables


@pytest.mark.parametrize("name", NAMES)
def test_a_usual_training_script_becomes_a_pipeline(name: str, env: Env, store: TableStore) -> None:
    result = retrain(
        env, entrypoint=f"scripts:{name}", inputs={"rows": "silver/train"}, model=name, own_types=["scripts.*"]
    )
    assert result["promoted"], result["reason"]
    predict(env, model=name, inputs={"rows": "silver/new"}, target=f"gold/{name}", own_types=["scripts.*"])
    scored = store.read(f"gold/{name}")
    assert scored.num_rows == 50
    assert SCORES.get(name, "score") in scored.column_names
    again = retrain(
        env, entrypoint=f"scripts:{name}", inputs={"rows": "silver/train"}, model=name, own_types=["scripts.*"]
    )
    assert not again["promoted"] or again["version"] == result["version"]  # an equal model does not win
