"""The model of `platform_scores`: how late flights will leave, hour by hour."""

from __future__ import annotations

import lightgbm
import pandas as pd

from airflow_wall.models.base import Trained

TARGET = "mean_dep_delay"

# All are known before the hour begins: the schedule, the calendar, and the weather as a forecast would give it.
FEATURES = [
    "origin",
    "flights",
    "distance",
    "hour_of_day",
    "day_of_week",
    "month",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
]


def train(features: pd.DataFrame) -> Trained:
    """
    Fit the mean departure delay of an hour, in minutes.

    :param features: One row per domain and hour: the rows of `silver/*` that are not held out.
    """
    rows = features.dropna(subset=[TARGET])  # an hour in which nothing left has no delay to learn from
    inputs = rows[FEATURES].astype({"origin": "category"})
    estimator = lightgbm.LGBMRegressor(
        n_estimators=300,
        learning_rate=0.03,
        num_leaves=15,
        min_child_samples=60,
        reg_lambda=5.0,
        # The same rows give the same model, so that a retry registers no second one.
        deterministic=True,
        force_row_wise=True,
        num_threads=2,
        random_state=20130101,
        verbosity=-1,
    )
    estimator.fit(inputs, rows[TARGET])
    return Trained(estimator, features=FEATURES, target=TARGET)
