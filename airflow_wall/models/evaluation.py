"""The metrics of a model on held-out rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Class, Kind, Model, Output
from airflow_wall.models.metric_names import KINDS, is_own, own_is_lower_better
from airflow_wall.models.outputs import scores_by_part

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


def _named(function: Callable[..., float], **options: object) -> Callable[[Floats, Floats], float]:
    """Return a metric of the most probable classes."""
    return lambda y, p: float(function(y, np.argmax(p, axis=1), **options))


def _log_loss(observed: Floats, probabilities: Floats) -> float:
    """Return the log loss. A class that the model does not know, code -1, has the probability 0."""
    given = np.where(observed < 0, 0.0, probabilities[np.arange(len(observed)), observed.astype(np.int64)])
    return float(-np.log(np.clip(given, _SMALLEST, 1.0)).mean())


def _mape(observed: Floats, scores: Floats) -> float:
    """Return the mean absolute percentage error. It is not defined if a target is 0; scikit-learn then returns 1e15."""
    return float(sk.mean_absolute_percentage_error(observed, scores)) if observed.all() else math.nan


_SMALLEST = 1e-15
"""Probability in place of 0, whose log is not finite."""

METRICS: dict[str, Metric] = {
    "rmse": Metric(lambda y, s: float(sk.root_mean_squared_error(y, s)), True),
    "mae": Metric(lambda y, s: float(sk.mean_absolute_error(y, s)), True),
    "r2": Metric(lambda y, s: float(sk.r2_score(y, s)), False),
    "rmsle": Metric(lambda y, s: float(sk.root_mean_squared_log_error(y, s)), True),
    "mape": Metric(lambda y, s: _mape(y, s), True),
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

CLASS_METRICS: dict[str, Metric] = {
    "log_loss": Metric(lambda y, p: _log_loss(y, p), True),
    "accuracy": Metric(_named(sk.accuracy_score), False),
    "balanced_accuracy": Metric(_named(sk.balanced_accuracy_score), False),
    "f1_macro": Metric(_named(sk.f1_score, average="macro", zero_division=0.0), False),
    "f1_weighted": Metric(_named(sk.f1_score, average="weighted", zero_division=0.0), False),
    "matthews_corrcoef": Metric(_named(sk.matthews_corrcoef), False),
}
"""Name -> metric of the kind `classes`. They take codes of classes and the probability of each class."""


def names_for(kind: Kind) -> list[str]:
    """Return the names of the metrics that apply to a kind of model."""
    return [name for name, kinds in KINDS.items() if kind in kinds]


def lower_is_better(name: str) -> bool:
    """Return True if a lower value of a metric is better."""
    if (own := own_is_lower_better(name)) is not None and is_own(name):
        return own
    return {**CLASS_METRICS, **METRICS}[name].lower_is_better


def codes_of(values: Sequence[object], classes: Sequence[Class]) -> Floats:
    """Return the place of each value among the classes, shape (rows,); -1 for a value that is none of them."""
    places = {str(label): float(place) for place, label in enumerate(classes)}
    return np.asarray([places.get(_label(value), -1.0) for value in values], dtype=np.float64)


def _label(value: object) -> str:
    """Return a value as the text of a class: 2.0 and true are the classes 2 and 1."""
    if isinstance(value, bool | float) and float(value).is_integer():
        return str(int(value))
    return str(value)


def measure(name: str, observed: Floats, scores: Floats) -> float:
    """Return one metric, or NaN if it is not defined for these rows, e.g. `auc` with one class only."""
    if not len(observed) or not np.isfinite(scores).all():
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn warns when it returns NaN, and the caller handles NaN
        try:
            metrics = CLASS_METRICS if scores.ndim == 2 else METRICS
            return metrics[name].measure(observed, scores)
        except ValueError:
            return math.nan


def outputs_of(model: Model) -> Sequence[Output]:
    """Return the parts of a model of several targets, else the model itself."""
    return model.parts or (model,)


def metrics_of(model: Model) -> list[str]:
    """Return the metrics that apply to each target of a model. The log loss needs probabilities."""
    names = [set(_metrics_of_one(output)) for output in outputs_of(model)]
    return [name for name in KINDS if all(name in those for those in names)]


def _metrics_of_one(output: Output) -> list[str]:
    return [name for name in names_for(output.kind) if name != "log_loss" or output.has_probabilities]


def default_metric(model: Model) -> str:
    """Return the metric of a model if the pipeline names none."""
    names = metrics_of(model)
    return next(name for name in ("rmse", "log_loss", "accuracy") if name in names)


def by_target(model: Model, observed: Floats, scores: Floats) -> list[tuple[Floats, Floats]]:
    """Return the observed values and the scores of each target."""
    if not model.parts:
        return [(observed, scores)]
    return list(zip(observed.T, scores_by_part(model.parts, scores), strict=True))


def measure_model(name: str, model: Model, observed: Floats, scores: Floats) -> float:
    """Return a metric of a model; of several targets the mean, as scikit-learn's `uniform_average`."""
    return float(np.mean([measure(name, *target) for target in by_target(model, observed, scores)]))


def constant_scores(model: Model, training: Floats, rows: int) -> Floats:
    """
    Return the scores of a model that has learnt nothing but the mean of the training target, or its share of classes.

    :param training: Targets of the training rows.
    """
    if model.parts:
        columns = [_constant(part, values, rows) for part, values in zip(model.parts, training.T, strict=True)]
        return np.column_stack(columns)
    return _constant(model, training, rows)


def _constant(output: Output, training: Floats, rows: int) -> Floats:
    if output.kind != "classes":
        return np.full(rows, training.mean())
    counts = np.bincount(training[training >= 0].astype(np.int64), minlength=len(output.classes))
    shares: Floats = counts / max(counts.sum(), 1)
    return np.tile(shares, (rows, 1))


def measure_all(model: Model, observed: Floats, scores: Floats) -> dict[str, float]:
    """Return all metrics of a model that are defined for these rows; of several targets those of each, too."""
    values = {name: measure_model(name, model, observed, scores) for name in metrics_of(model)}
    for part, target in zip(model.parts, by_target(model, observed, scores), strict=False):
        values |= {f"{name}_{part.target}": measure(name, *target) for name in _metrics_of_one(part)}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def check_observed(model: Output, observed: Floats, target: str) -> None:
    """
    Check that the observed values of a target fit a model.

    :raises ModelError: a classifier's target holds other values than 0 and 1, or it knows one class only.
    """
    if model.kind == "classes" and len(model.classes) == 1:
        raise ModelError(
            f"the training rows of a classifier must have several classes of `{target}`, got only `{model.classes[0]}`",
            hint="provide rows of other classes, or choose other held-out rows, e.g. `holdout: {random: true}`",
        )
    if model.kind == "binary" and not np.isin(observed, (0.0, 1.0)).all():
        other = observed[~np.isin(observed, (0.0, 1.0))][0]
        raise ModelError(
            f"the target `{target}` of a classifier must be 0 or 1, got {other:g}",
            hint="encode the target as 0 and 1, or train a regressor",
        )
