"""Functions with which the example pipelines compute."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from sklearn.linear_model import LinearRegression

from airflow_wall.models.base import Trained


def weigh(orders: pa.Table, kilos_per_item: float = 0.5) -> pd.DataFrame:
    """Return the orders with their weight in kilograms."""
    rows = orders.to_pandas()
    return rows.assign(weight=rows["items"] * kilos_per_item)


def train(orders: pd.DataFrame, intercept: bool = True) -> Trained:
    """Fit the value of an order to its items and weight."""
    features = ["items", "weight"]
    estimator = LinearRegression(fit_intercept=intercept).fit(orders[features], orders["value"])
    return Trained(estimator, features=features, target="value")
