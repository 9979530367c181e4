"""Evaluate a model on held-out rows, as `predict` will use it: loaded from its bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError
from airflow_wall.models import formats
from airflow_wall.models.base import Model, Output, OwnCode, Segments, Trained
from airflow_wall.models.deciding_metric import DecidingMetric, deciding_metric
from airflow_wall.models.evaluation import check_observed, codes_of, constant_scores, measure_all, outputs_of
from airflow_wall.models.features import target_of, to_frame
from airflow_wall.models.holdout import Split
from airflow_wall.models.outputs import output_schema
from airflow_wall.models.promotion import Rule

_FEW = 10
"""Number of rows below which an error is probably due to their number."""


@dataclass(frozen=True)
class Trial:
    """A challenger, loaded from its bytes, and its metrics on the held-out rows whose target is not null."""

    model: Model
    model_format: str
    content: bytes
    metric: str
    metrics: dict[str, float]
    baseline: float
    held_out: pa.Table
    observed: NDArray[np.float64]
    rows_trained: int
    deciding: DecidingMetric
    segments: Segments | None

    @property
    def value(self) -> float:
        """The metric that decides."""
        return self.metrics[self.metric]


def judge(trained: Trained, entrypoint: str, parts: Split, rule: Rule, key: str, own: OwnCode) -> Trial:
    """
    Return the evaluation of a trained model.

    :param key: The input that was split.
    :raises ModelError: the model cannot be saved, or its metric is not finite.
    """
    where = f"`entrypoint` `{entrypoint}` returned"
    name = formats.format_of(trained.estimator) if own.save is None else formats.OWN
    content = formats.dump(trained.estimator, name, own)
    model = formats.load(content, name, own, trained.targets)  # evaluated as predict will use it: loaded from its bytes
    metric = rule.metric_for(model)
    _check_columns(model, where)
    training = targets_in(model, parts.training[key], trained.targets, f"`inputs.{key}`")
    training = training[_known(training)]
    observed = targets_in(model, parts.held_out, trained.targets, f"`inputs.{key}`")
    held_out = parts.held_out.filter(pa.array(_known(observed)))
    observed = observed[_known(observed)]
    if not len(observed) or not len(training):
        which = "held-out rows" if not len(observed) else "training rows"
        raise ModelError(
            f"{where} a model of {listed(trained.targets)}, which has no value in the {which}",
            hint="provide more rows, or change `holdout`",
        )
    both = np.concatenate([training, observed])
    for output, target, values in zip(outputs_of(model), trained.targets, both.reshape(len(both), -1).T, strict=True):
        check_observed(output, values, target)
    scores = model.score(to_frame(held_out.select(list(trained.features))))
    metrics = measure_all(model, observed, scores)
    deciding = deciding_metric(metric, trained.targets, own.code or Path())
    measured = deciding.measure(model, observed, scores, held_out)
    if math.isfinite(measured):
        metrics = {metric: measured, **metrics}
    if metric not in metrics:
        why, hint = _why_undefined(model, [held_out.column(target) for target in trained.targets], observed, scores)
        raise ModelError(
            f"{where} a model whose {metric} on {len(observed):,} held-out rows is not a finite number: {why}; "
            "nothing was registered",
            hint=hint,
        )
    constant = constant_scores(model, training, len(observed))
    baseline = deciding.measure(model, observed, constant, held_out)
    segments = None
    if rule.by is not None:
        segments = deciding.by_segment(rule.by, model, observed, scores, held_out)
    return Trial(
        model,
        name,
        content,
        metric,
        metrics,
        baseline,
        held_out,
        observed,
        len(training),
        deciding,
        segments,
    )


def _why_undefined(
    model: Model, targets: list[pa.ChunkedArray[Any]], observed: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[str, str]:
    """Return why a metric is not a finite number, and a hint."""
    if lost := int(np.count_nonzero(~np.isfinite(scores))):
        return f"{lost:,} of its scores are not finite", "look at the training rows for missing or infinite values"
    if len(observed) < _FEW:
        return "there are too few rows", "provide more rows, or set a larger `holdout.fraction`"
    for output, target in zip(outputs_of(model), targets, strict=True):
        if output.kind != "regression" and len(target.unique()) == 1:
            return f"all of them have the class `{target[0]}`", (
                "choose held-out rows with all classes, e.g. `holdout: {random: true}`, or set another `promote.metric`"
            )
    return (
        "it is not defined for these rows",
        "choose other held-out rows by `holdout`, or set another `promote.metric`",
    )


def targets_in(model: Model, rows: pa.Table, targets: Sequence[str], where: str) -> NDArray[np.float64]:
    """
    Return the target as floats, with NaN for null: numbers, or the codes of a model's classes.

    Several targets are columns beside each other.
    """
    columns = [_target_in(output, rows, name, where) for output, name in zip(outputs_of(model), targets, strict=True)]
    return np.column_stack(columns) if model.parts else columns[0]


def _target_in(output: Output, rows: pa.Table, target: str, where: str) -> NDArray[np.float64]:
    if output.kind != "classes":
        return target_of(rows, target, where)
    values = rows.column(target).to_pylist()
    known = np.asarray([value is not None for value in values], dtype=bool)
    return np.where(known, codes_of(values, output.classes), np.nan)


def _known(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for each row with a value in all targets."""
    return np.asarray(np.isfinite(values.reshape(len(values), -1)).all(axis=1), dtype=bool)


def _check_columns(model: Model, where: str) -> None:
    """Check that no two targets give a column of the same name to `predict`."""
    names = output_schema(model).names
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ModelError(
            f"{where} a model for whose targets predict would write two columns `{repeated[0]}`",
            hint="rename one of the targets in an earlier transform",
        )
