"""XGBoost's own JSON format, with the classes and the best iteration beside it: trees as text, without code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from airflow_wall.errors import ModelError, first_line
from airflow_wall.models.base import NO_OWN_CODE, Class, Kind, OwnCode, TargetOutput
from airflow_wall.models.features import with_categories
from airflow_wall.models.outputs import classes_in, shaped

PACKAGES = ("xgboost",)

_KEEPS_CATEGORIES = (3, 1)
"""The version from which on a model knows its categories. Older ones read text by the codes of each batch."""


def dump(estimator: Any, _: OwnCode = NO_OWN_CODE) -> bytes:
    """Return the estimator's booster as JSON. With early stopping it ends at its best iteration."""
    name = type(estimator).__name__
    try:
        booster = estimator if isinstance(estimator, xgboost.Booster) else estimator.get_booster()
    except ValueError as error:  # NotFittedError is a ValueError
        raise ModelError(f"the `{name}` is not fitted", hint="call its `fit` first") from error
    version = tuple(int(part) for part in xgboost.__version__.split(".")[:2])
    if "c" in (booster.feature_types or ()) and version < _KEEPS_CATEGORIES:
        raise ModelError(
            f"the `{name}` has features of categories, whose codes XGBoost {xgboost.__version__} does not save",
            hint="use XGBoost 3.1 or later, or encode them in a pipeline of scikit-learn",
        )
    document = {
        "classes": classes_in(estimator),
        "best_iteration": booster.attr("best_iteration"),
        "booster": json.loads(booster.save_raw("json").decode()),
    }
    return json.dumps(document).encode()


def types(_: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    return ["xgboost.core.Booster"]


def load(content: bytes, _: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> XGBoostModel:
    """See `ModelFormat.load`."""
    try:
        document = json.loads(content)
        booster = xgboost.Booster()
        booster.load_model(bytearray(json.dumps(document["booster"]).encode()))
        learner = document["booster"]["learner"]
        objective = learner["objective"]["name"]
        outputs = max(int(learner["learner_model_param"].get("num_class", 0)), 1)
        predicted = int(learner["learner_model_param"].get("num_target", 1))
    except (ValueError, KeyError, TypeError, xgboost.core.XGBoostError) as error:
        raise ModelError(f"XGBoost cannot read the model: {error}", hint="restore it from a backup") from error
    if predicted != (len(targets) or 1):
        raise ModelError(
            f"the model of XGBoost predicts {predicted} targets, and `target` of `Trained` has {len(targets) or 1}",
            hint="name all of them, in the order of the estimator",
        )
    best = document["best_iteration"]
    classes = tuple(document["classes"]) or tuple(range(outputs if objective.startswith("multi:") else 2))
    return XGBoostModel(booster, objective, classes, 0 if best is None else int(best) + 1, targets)


class XGBoostModel:
    """A booster of XGBoost. Text columns are read as categories."""

    has_probabilities = True

    def __init__(
        self,
        booster: xgboost.Booster,
        objective: str,
        classes: tuple[Class, ...],
        rounds: int,
        targets: Sequence[str] = (),
    ) -> None:
        is_classifier = objective.startswith(("binary:", "multi:"))
        is_binary = objective.startswith("binary:") and classes == (0, 1)
        self.kind: Kind = "binary" if is_binary else "classes" if is_classifier else "regression"
        self.classes = classes if self.kind == "classes" else ()
        self.parts = tuple(TargetOutput(target, "binary" if is_classifier else "regression") for target in targets)
        if targets:
            self.kind, self.classes = "several", ()
        self._booster, self._objective, self._rounds = booster, objective, rounds

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        try:
            matrix = xgboost.DMatrix(with_categories(rows), enable_categorical=True)
            wants_margin = self._objective in ("multi:softmax", "binary:logitraw")
            scores = self._booster.predict(matrix, output_margin=wants_margin, iteration_range=(0, self._rounds))
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise ModelError(f"XGBoost cannot score these rows: {first_line(error)}") from error
        scores = np.asarray(scores, dtype=np.float64)
        if self._objective == "multi:softmax":
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = powers / powers.sum(axis=1, keepdims=True)
        elif self._objective == "binary:logitraw":
            scores = 1 / (1 + np.exp(-scores))
        if self.kind == "classes" and scores.ndim == 1:
            scores = np.column_stack([1 - scores, scores])
        return shaped(scores, self, len(rows))
