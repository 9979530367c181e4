"""The names of metrics. This module imports nothing heavy, so that a pipeline can be checked without scikit-learn."""

from __future__ import annotations

import re

from airflow_wall.diagnostics.patterns import REFERENCE_PATTERN
from airflow_wall.models.base import Kind

KINDS: dict[str, tuple[Kind, ...]] = {
    "rmse": ("regression",),
    "mae": ("regression",),
    "r2": ("regression",),
    "rmsle": ("regression",),
    "mape": ("regression",),
    "median_absolute_error": ("regression",),
    "max_error": ("regression",),
    "explained_variance": ("regression",),
    "log_loss": ("binary", "classes"),
    "accuracy": ("binary", "classes"),
    "auc": ("binary",),
    "average_precision": ("binary",),
    "balanced_accuracy": ("binary", "classes"),
    "brier_score": ("binary",),
    "f1": ("binary",),
    "precision": ("binary",),
    "recall": ("binary",),
    "f1_macro": ("classes",),
    "f1_weighted": ("classes",),
    "matthews_corrcoef": ("binary", "classes"),
}
"""Name of a metric -> the kinds of models that it applies to."""

ALIASES = {
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
    "neg_root_mean_squared_log_error": "rmsle",
    "neg_mean_absolute_percentage_error": "mape",
    "neg_median_absolute_error": "median_absolute_error",
    "neg_max_error": "max_error",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "brier_score",
    "roc_auc": "auc",
}
"""Name of a scorer of scikit-learn -> our name of the metric. A `neg_...` has the direction of its metric."""

NAMES = (*KINDS, *ALIASES)


def canonical(name: str) -> str:
    """Return our name of a metric."""
    return ALIASES.get(name, name)


def is_own(name: str) -> bool:
    """Return True if a name is that of a function, `module:function`."""
    return re.fullmatch(REFERENCE_PATTERN, name) is not None


def own_is_lower_better(name: str) -> bool | None:
    """
    Return True if a lower value of a function's metric is better, by the end of its name (`LOWER`, `HIGHER`).

    The ends are those of scikit-learn. Return None for other names.
    """
    if name.endswith(HIGHER):
        return False
    return True if name.endswith(LOWER) else None


HIGHER = ("_score",)
"""Ends of the names of functions whose highest value is best."""

LOWER = ("_error", "_loss", "_cost", "_deviance")
"""Ends of the names of functions whose lowest value is best."""

OWN_HINT = (
    "end the name of the function in `_score` if higher is better, else in `_error`, `_loss`, `_cost` or `_deviance`"
)
