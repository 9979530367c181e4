"""LightGBM's own text format: trees as text, without code."""

from __future__ import annotations

import re
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Kind


def dump(estimator: Any) -> bytes:
    """Return the estimator's booster as LightGBM text. With early stopping it ends at its best iteration."""
    booster = estimator if isinstance(estimator, lightgbm.Booster) else _booster(estimator)
    text: str = booster.model_to_string()
    _kind(text)
    return text.encode()


def load(content: bytes) -> LightGBMModel:
    """Return the model from LightGBM text."""
    text = content.decode("utf-8", "replace")
    kind = _kind(text)
    try:
        return LightGBMModel(kind, lightgbm.Booster(model_str=text))
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(f"LightGBM cannot read the model: {error}") from error


class LightGBMModel:
    """A LightGBM booster. Text columns are read as categories, as in LightGBM's training."""

    def __init__(self, kind: Kind, booster: lightgbm.Booster) -> None:
        self.kind: Kind = kind
        self._booster = booster

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        text = [name for name in rows if pd.api.types.is_string_dtype(rows[name]) or rows[name].dtype == object]
        rows = rows.astype(dict.fromkeys(text, "category"))
        try:
            return np.asarray(self._booster.predict(rows), dtype=np.float64)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise ModelError(f"LightGBM cannot score these rows: {error}") from error


def _booster(estimator: Any) -> lightgbm.Booster:
    try:
        booster: lightgbm.Booster = estimator.booster_
    except (lightgbm.basic.LightGBMError, ValueError) as error:  # NotFittedError is a ValueError
        raise ModelError(f"the `{type(estimator).__name__}` is not fitted", hint="call its `fit` first") from error
    classes = getattr(estimator, "classes_", None)
    # The text format stores no labels, so only the labels 0 and 1 survive.
    if classes is not None and list(classes) != [0, 1]:
        shown = ", ".join(str(label) for label in list(classes)[:5])
        raise ModelError(
            f"the target of the `{type(estimator).__name__}` must be 0 or 1, got the classes {shown}",
            hint="encode the target as 0 and 1",
        )
    return booster


def _kind(text: str) -> Kind:
    header = text[: text.find("\nTree=")] if "\nTree=" in text else text[:5000]
    if not header.startswith("tree\n"):
        raise ModelError("the model is not in LightGBM's text format")
    outputs = re.search(r"^num_tree_per_iteration=(\d+)$", header, re.MULTILINE)
    if outputs is not None and outputs[1] != "1":
        raise ModelError(
            f"the target of a LightGBM classifier must be 0 or 1, got {outputs[1]} classes",
            hint="encode the target as 0 and 1, or train one model per class",
        )
    return "binary" if re.search(r"^objective=binary\b", header, re.MULTILINE) else "regression"
