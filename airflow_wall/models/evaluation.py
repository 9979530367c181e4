"""The metrics of a model on held-out rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Kind
from airflow_wall.models.metric_names import KINDS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """
    One metric.

    :param measure: Takes the observed targets and the scores, both of shape (rows,).
    """

    measure: Callable[[Floats, Floats], float]
    lower_is_better: bool


def _labels(function: Callable[..., float], **options: object) -> Callable[[Floats, Floats], float]:
    """Return a metric of the classes that the probabilities stand for: 1 from 0.5 on."""
    return lambda y, s: float(function(y, s >= 0.5, **options))


METRICS: dict[str, Metric] = {
    "rmse": Metric(lambda y, s: float(sk.root_mean_squared_error(y, s)), True),
    "mae": Metric(lambda y, s: float(sk.mean_absolute_error(y, s)), True),
    "r2": Metric(lambda y, s: float(sk.r2_score(y, s)), False),
    "rmsle": Metric(lambda y, s: float(sk.root_mean_squared_log_error(y, s)), True),
    "mape": Metric(lambda y, s: float(sk.mean_absolute_percentage_error(y, s)), True),
    "median_absolute_error": Metric(lambda y, s: float(sk.median_absolute_error(y, s)), True),
    "max_error": Metric(lambda y, s: float(sk.max_error(y, s)), True),
    "explained_variance": Metric(lambda y, s: float(sk.explained_variance_score(y, s)), False),
    "log_loss": Metric(lambda y, s: float(sk.log_loss(y, s, labels=[0, 1])), True),
    "accuracy": Metric(_labels(sk.accuracy_score), False),
    "auc": Metric(lambda y, s: float(sk.roc_auc_score(y, s)), False),
    "average_precision": Metric(lambda y, s: float(sk.average_precision_score(y, s)), False),
    "balanced_accuracy": Metric(_labels(sk.balanced_accuracy_score), False),
    "brier_score": Metric(lambda y, s: float(sk.brier_score_loss(y, s)), True),
    "f1": Metric(_labels(sk.f1_score, zero_division=0.0), False),
    "precision": Metric(_labels(sk.precision_score, zero_division=0.0), False),
    "recall": Metric(_labels(sk.recall_score, zero_division=0.0), False),
    "matthews_corrcoef": Metric(_labels(sk.matthews_corrcoef), False),
}
"""Name -> metric. `metric_names.KINDS` says to which kind of model it applies."""

DEFAULT: dict[Kind, str] = {"regression": "rmse", "binary": "log_loss"}
"""Kind of model -> its metric if the pipeline names none."""


def names_for(kind: Kind) -> list[str]:
    """Return the names of the metrics that apply to a kind of model."""
    return [name for name, other in KINDS.items() if other == kind]


def measure(name: str, observed: Floats, scores: Floats) -> float:
    """Return one metric, or NaN if it is not defined for these rows, e.g. `auc` with one class only."""
    if not len(observed) or not np.isfinite(scores).all():
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn warns when it returns NaN, and the caller handles NaN
        try:
            return METRICS[name].measure(observed, scores)
        except ValueError:
            return math.nan


def measure_all(kind: Kind, observed: Floats, scores: Floats) -> dict[str, float]:
    """Return all metrics of a kind of model that are defined for these rows."""
    values = {name: measure(name, observed, scores) for name in names_for(kind)}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def check_observed(kind: Kind, observed: Floats, target: str) -> None:
    """
    Check that the observed targets fit a kind of model.

    :raises ModelError: a classifier's target holds other values than 0 and 1.
    """
    if kind == "binary" and not np.isin(observed, (0.0, 1.0)).all():
        other = observed[~np.isin(observed, (0.0, 1.0))][0]
        raise ModelError(
            f"the target `{target}` of a classifier must be 0 or 1, got {other:g}",
            hint="encode the target as 0 and 1, or train a regressor",
        )
