"""LightGBM's own text format: trees as text, without code."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_wall.errors import ModelError
from airflow_wall.models.base import NO_OWN_CODE, Class, Kind, OwnCode, TargetOutput
from airflow_wall.models.features import with_categories
from airflow_wall.models.outputs import classes_in

PACKAGES = ("lightgbm",)

_CLASSES = "\nairflow_wall_classes="
"""Beginning of the line with the classes, as JSON."""


def dump(estimator: Any, _: OwnCode = NO_OWN_CODE) -> bytes:
    """
    Return the estimator's booster as LightGBM text. With early stopping it ends at its best iteration.

    The format stores no labels of classes, so they are a line of ours at the end.
    """
    booster = estimator if isinstance(estimator, lightgbm.Booster) else _booster(estimator)
    text: str = booster.model_to_string()
    classes = classes_in(estimator)
    if classes not in ((), (0, 1)):
        text += f"{_CLASSES}{json.dumps(classes)}\n"
    _kind(text)
    return text.encode()


def types(_: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    return ["lightgbm.basic.Booster"]


def load(content: bytes, own: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> LightGBMModel:  # noqa: ARG001
    """See `ModelFormat.load`."""
    if targets:
        raise ModelError(
            f"a model of LightGBM predicts one target, and `target` of `Trained` has {len(targets)}",
            hint="put it into scikit-learn's `MultiOutputRegressor` or `MultiOutputClassifier`",
        )
    text, _, line = content.decode("utf-8", "replace").partition(_CLASSES)
    kind = _kind(text + (_CLASSES + line if line else ""))
    try:
        booster = lightgbm.Booster(model_str=text)
        classes = tuple(json.loads(line)) if line else tuple(range(booster.num_model_per_iteration()))
        return LightGBMModel(kind, booster, classes if kind == "classes" else ())
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(f"LightGBM cannot read the model: {error}") from error


class LightGBMModel:
    """A LightGBM booster. Text columns are read as categories, as in LightGBM's training."""

    has_probabilities = True
    parts: tuple[TargetOutput, ...] = ()

    def __init__(self, kind: Kind, booster: lightgbm.Booster, classes: tuple[Class, ...] = ()) -> None:
        self.kind: Kind = kind
        self.classes = classes
        self._booster = booster

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        frame = with_categories(rows)
        try:
            scores = np.asarray(self._booster.predict(frame), dtype=np.float64)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise ModelError(f"LightGBM cannot score these rows: {error}") from error
        if self.kind == "classes" and scores.ndim == 1:
            return np.column_stack([1 - scores, scores])
        return scores


def _booster(estimator: Any) -> lightgbm.Booster:
    try:
        booster: lightgbm.Booster = estimator.booster_
    except (lightgbm.basic.LightGBMError, ValueError) as error:  # NotFittedError is a ValueError
        raise ModelError(f"the `{type(estimator).__name__}` is not fitted", hint="call its `fit` first") from error
    return booster


def _kind(text: str) -> Kind:
    header = text[: text.find("\nTree=")] if "\nTree=" in text else text[:5000]
    if not header.startswith("tree\n"):
        raise ModelError("the model is not in LightGBM's text format")
    outputs = re.search(r"^num_tree_per_iteration=(\d+)$", header, re.MULTILINE)
    if _CLASSES in text or (outputs is not None and outputs[1] != "1"):
        return "classes"
    return "binary" if re.search(r"^objective=binary\b", header, re.MULTILINE) else "regression"
