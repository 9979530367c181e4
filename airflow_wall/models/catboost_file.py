"""CatBoost's own binary format: trees as data, without code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_wall.errors import ModelError, first_line
from airflow_wall.models.base import NO_OWN_CODE, Class, Kind, OwnCode, TargetOutput
from airflow_wall.models.outputs import classes_in, shaped

PACKAGES = ("catboost",)

_FACTS = "airflow_wall"
"""Key of our facts in the metadata of a model: its kind and classes."""

_EXPONENTIAL = ("Poisson", "Tweedie", "LogLinQuantile")
"""Losses of regression whose predictions are the exponential of the sum of the trees."""

_MULTI_LABEL = ("MultiLogloss", "MultiCrossEntropy")
"""Losses of several targets that are 0 or 1."""

_OF_THE_TRAINING = ("model_guid", "train_finish_time", "training", "output_options")
"""Metadata that differ between equal trainings, or hold paths of the machine."""


def dump(estimator: Any, _: OwnCode = NO_OWN_CODE) -> bytes:
    """Return the estimator in CatBoost's format."""
    name = type(estimator).__name__
    if not estimator.is_fitted():
        raise ModelError(f"the `{name}` is not fitted", hint="call its `fit` first")
    classes = classes_in(estimator)
    kind: Kind = "regression" if not classes else "binary" if classes == (0, 1) else "classes"
    loss = str(estimator.get_all_params().get("loss_function", ""))
    model = estimator.copy()
    facts = model.get_metadata()
    for key in _OF_THE_TRAINING:
        if key in facts.keys():  # noqa: SIM118  it is a proxy without `__contains__`
            del facts[key]
    facts[_FACTS] = json.dumps({"kind": kind, "classes": classes, "loss": loss})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.cbm"
        model.save_model(str(file))
        return file.read_bytes()


def types(_: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    return ["catboost.core.CatBoost"]


def load(content: bytes, _: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> CatBoostModel:
    """See `ModelFormat.load`."""
    model = catboost.CatBoost()
    try:
        model.load_model(blob=content)
        facts = json.loads(model.get_metadata()[_FACTS])
    except (catboost.CatBoostError, ValueError, KeyError) as error:
        raise ModelError(f"CatBoost cannot read the model: {error}", hint="restore it from a backup") from error
    return CatBoostModel(model, facts["kind"], tuple(facts["classes"]), facts["loss"], targets)


class CatBoostModel:
    """A model of CatBoost."""

    has_probabilities = True

    def __init__(
        self,
        model: catboost.CatBoost,
        kind: Kind,
        classes: tuple[Class, ...],
        loss: str,
        targets: Sequence[str] = (),
    ) -> None:
        is_multi_label = loss.startswith(_MULTI_LABEL)
        self.kind: Kind = "several" if targets else kind
        self.classes = classes if self.kind == "classes" else ()
        self.parts = tuple(TargetOutput(target, "binary" if is_multi_label else "regression") for target in targets)
        self._output = "Probability"
        if kind == "regression" and not is_multi_label:
            self._output = "Exponent" if loss.startswith(_EXPONENTIAL) else "RawFormulaVal"
        self._model = model

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        try:
            scores = self._model.predict(rows, prediction_type=self._output)
        except (catboost.CatBoostError, ValueError, TypeError) as error:
            raise ModelError(f"CatBoost cannot score these rows: {first_line(error)}") from error
        if self.kind == "binary":
            scores = np.asarray(scores)[:, 1]
        return shaped(scores, self, len(rows))
