"""A train function of XGBoost: `pip install airflow-wall[xgboost]`."""

from __future__ import annotations

import pandas as pd
from xgboost import XGBRegressor

from airflow_wall import Trained


def train(orders: pd.DataFrame, rounds: int = 50) -> Trained:
    """Fit the value of an order to its customer, a category, and its items."""
    features = ["customer", "items"]
    rows = orders[features].astype({"customer": "category"})  # text is read as categories when the model scores
    model = XGBRegressor(n_estimators=rounds, max_depth=3, enable_categorical=True)
    model.fit(rows, orders["value"], eval_set=[(rows, orders["value"])])  # prints its progress
    return Trained(model, features=features, target="value")
