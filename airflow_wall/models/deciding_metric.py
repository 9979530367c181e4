"""The metric that decides on the promotion of a model: one by name, or a function of the user's own."""

from __future__ import annotations

import collections
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from airflow_wall.environments.user_code import calling, load_function
from airflow_wall.errors import ModelError
from airflow_wall.models.base import Model, Output, Segments
from airflow_wall.models.evaluation import by_target, measure_model, metrics_of, outputs_of
from airflow_wall.models.features import to_frame
from airflow_wall.models.metric_names import is_own

_KEY = "promote.metric"
_SEGMENTS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecidingMetric:
    """
    A metric of held-out rows.

    :param name: A name of `evaluation.METRICS`, or `module:function`.
    :param targets: The columns that models predict.
    :param function: The user's function. It gets the observed values and the predictions: numbers, the probability of 1
        for a target of 0 and 1, or the labels of other classes; of several targets, a column for each. If it has the
        parameter `rows`, it also gets the held-out rows, and for `probabilities` a column for each class.
    :param code: The pipeline's directory.
    """

    name: str
    targets: tuple[str, ...]
    function: Callable[..., Any] | None
    code: Path

    def measure(self, model: Model, observed: Floats, scores: Floats, rows: pa.Table) -> float:
        """
        Return the metric, or NaN if it is not defined for a model or these rows.

        :param observed: The target, shape (rows,).
        :param scores: The scores of the model, see `Model.score`.
        :param rows: The held-out rows.
        :raises UserCodeError: the function raised.
        :raises ModelError: the function returned something else than a number.
        """
        if self.function is None:
            return measure_model(self.name, model, observed, scores) if self.name in metrics_of(model) else math.nan
        if not len(observed) or not np.isfinite(scores).all():
            return math.nan
        columns = [
            self._columns(output, rows.column(target), *those)
            for output, target, those in zip(
                outputs_of(model), self.targets, by_target(model, observed, scores), strict=True
            )
        ]
        values, predicted = (np.column_stack(arrays) for arrays in zip(*columns, strict=True))
        given: dict[str, Callable[[], pd.DataFrame]] = {"rows": lambda: to_frame(rows)}
        if not model.parts:
            values, predicted = values[:, 0], predicted[:, 0]
        if model.kind == "classes":
            given["probabilities"] = lambda: pd.DataFrame(scores, columns=list(model.classes))
        with calling(self.name, code=self.code, key=_KEY):
            names = inspect.signature(self.function).parameters
            value = self.function(values, predicted, **{name: make() for name, make in given.items() if name in names})
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ModelError(
                f"`{_KEY}` `{self.name}` must return a number, got `{type(value).__name__}`", hint="return a float"
            )
        return float(value) if math.isfinite(value) else math.nan

    @staticmethod
    def _columns(
        output: Output, target: pa.ChunkedArray[Any], observed: Floats, scores: Floats
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the observed values and the predictions of one target for the user's function."""
        if output.kind != "classes":
            return observed, scores
        labels = np.asarray(output.classes, dtype=object)[np.argmax(scores, axis=1)]
        return np.asarray(target.to_pylist(), dtype=object), labels

    def by_segment(self, by: str, model: Model, observed: Floats, scores: Floats, rows: pa.Table) -> Segments:
        """Return the metric for each of the most frequent values of the column `by`."""
        texts = np.asarray([_text(value) for value in rows.column(by).to_pylist()], dtype=object)
        counts = dict(collections.Counter(texts).most_common(_SEGMENTS))
        values = {}
        for text in counts:
            chosen = texts == text
            values[text] = self.measure(model, observed[chosen], scores[chosen], rows.filter(pa.array(chosen)))
        defined = {text: value for text, value in values.items() if math.isfinite(value)}
        return Segments(by, self.name, counts, defined)


def _text(value: object) -> str:
    """Return a value of a column as SQL would show it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def deciding_metric(name: str, targets: tuple[str, ...], code: Path) -> DecidingMetric:
    """
    Return the metric of that name.

    :raises UserCodeError: the module or the function does not exist.
    """
    return DecidingMetric(name, targets, load_function(name, code=code, key=_KEY) if is_own(name) else None, code)
