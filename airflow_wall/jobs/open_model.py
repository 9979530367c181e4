"""The job `open_model`: check that a version can be opened, and scores, where this job runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_wall.errors import ModelError
from airflow_wall.job import Env
from airflow_wall.models import formats
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import FeatureSummary, ModelRecord, OwnCode
from airflow_wall.models.features import family, to_frame


def open_model(
    env: Env, *, model: str, version: int, load: str | None = None, own_types: Sequence[str] = ()
) -> dict[str, Any]:
    """
    Open a version of a model, let it score a row of usual values, and return its name and version.

    :param load: The function that opens a model that a function of the user's own saved, `module:function`.
    :param own_types: The user's own classes and functions that may be part of a model: patterns such as `models.*`.
    :raises ModelError: it cannot be opened, or cannot score.
    """
    registry = open_registry(env.run.storage)
    record = registry.record(model, version)
    opened = registry.open(model, version, OwnCode(env.run.code, tuple(own_types), load))
    row = _usual_row(record)
    if row is None:
        return {"model": model, "version": version}
    try:
        scores = opened.score(to_frame(row))
    except ModelError as error:  # libraries open a file of another version, and fail only when they use it
        versions = formats.other_versions(record.libraries)
        raise ModelError(
            f"{error.message}; it was trained with {versions}" if versions else error.message,
            hint="give `predict` the same `requirements` as `retrain`, or train the model anew",
        ) from error
    if not np.isfinite(scores).all():
        raise ModelError("its score of a row of usual values is not finite", hint="look at the versions of its library")
    return {"model": model, "version": version}


def _usual_row(record: ModelRecord) -> pa.Table | None:
    """Return a row of frequent values of the training rows, or None if they are not known for each feature."""
    if any(feature.name not in record.training for feature in record.features):
        return None
    return pa.table({f.name: _usual_value(f.type, record.training[f.name]) for f in record.features})


def _usual_value(type_: str, summary: FeatureSummary) -> pa.Array[Any]:
    if summary.texts is not None:
        text = summary.texts[0] if summary.texts else ""
        return pa.array([text == "true"]) if family(type_) == "boolean" else pa.array([text], pa.string())
    value = summary.edges[len(summary.edges) // 2] if summary.edges else 0.0
    return pa.array([int(value)], pa.int64()) if "int" in type_ else pa.array([value], pa.float64())
