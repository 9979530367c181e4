"""The names of metrics. This module imports nothing heavy, so that a pipeline can be checked without scikit-learn."""

from __future__ import annotations

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
