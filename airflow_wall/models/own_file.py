"""A model that functions of the user's own save and open. Only a step that names the function opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_wall.environments.user_code import calling, load_function
from airflow_wall.errors import ModelError
from airflow_wall.models.base import NO_OWN_CODE, OwnCode
from airflow_wall.models.outputs import estimator_scores, output_of

PACKAGES: tuple[str, ...] = ()


def dump(estimator: Any, own: OwnCode = NO_OWN_CODE) -> bytes:
    """
    Return the bytes of the function `own.save`.

    :raises UserCodeError: the function does not exist, or raised.
    :raises ModelError: it returned something else.
    """
    assert own.save is not None, "this format is for steps with `save`"
    assert own.code is not None, "a step has a folder"
    saves = load_function(own.save, code=own.code, key="save")
    with calling(own.save, code=own.code, key="save"):
        content = saves(estimator)
    if not isinstance(content, bytes):
        raise ModelError(
            f"`save` `{own.save}` must return bytes, got `{type(content).__name__}`",
            hint="return the model's file as bytes",
        )
    return content


def types(_: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    return []


def load(content: bytes, own: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> OwnModel:
    """Return the model that the function `own.load` opens."""
    if own.load is None or own.code is None:
        raise ModelError(
            "the model was saved by a function of your own, and the step names none that opens it",
            hint="add `load: module:function` to the step",
        )
    opens = load_function(own.load, code=own.code, key="load")
    with calling(own.load, code=own.code, key="load"):
        estimator = opens(content)
    if not callable(getattr(estimator, "predict", None)):
        raise ModelError(
            f"`load` `{own.load}` must return an object with a method `predict`, got `{type(estimator).__name__}`",
            hint="add `def predict(self, rows): ...`; for classes also `classes_` and `predict_proba`",
        )
    return OwnModel(estimator, own.load, own.code, targets)


class OwnModel:
    """
    An object of the user's own with `predict(rows)`, and for a classifier `classes_` and perhaps `predict_proba(rows)`.
    """

    def __init__(self, estimator: Any, load: str, code: Path, targets: Sequence[str] = ()) -> None:
        self.kind, self.classes, self.has_probabilities, self.parts = output_of(estimator, targets)
        self._estimator, self._load, self._code = estimator, load, code

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        with calling(self._load, code=self._code, key="load"):
            return estimator_scores(self._estimator, self, rows)
