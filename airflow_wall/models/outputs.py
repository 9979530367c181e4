"""The columns that a model adds to the rows it scores, and the names of classes."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Class, Model, ModelRecord
from airflow_wall.models.features import to_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray


def output_schema(record: ModelRecord) -> pa.Schema:
    """
    Return the columns that a model adds.

    ==========================  ===================================================================
    a regressor                 `score`: the number
    a classifier of 0 and 1     `score`: the probability of 1
    any other classifier        `label`: the class; with probabilities also `score`, that of the label,
                                and `probability_<class>` for each class
    ==========================  ===================================================================
    """
    score = pa.field("score", pa.float64())
    if record.kind != "classes":
        return pa.schema([score])
    label = pa.field("label", pa.string() if any(isinstance(name, str) for name in record.classes) else pa.int64())
    if not record.has_probabilities:
        return pa.schema([label])
    return pa.schema([label, score, *(pa.field(name, pa.float64()) for name in probability_names(record.classes))])


def _output_columns(record: ModelRecord, scores: NDArray[np.float64]) -> list[pa.Array[Any]]:
    """Return the values of these columns from the scores of a model."""
    schema = output_schema(record)
    if record.kind != "classes":
        return [pa.array(scores, pa.float64())]
    chosen = np.argmax(scores, axis=1)
    text = pa.types.is_string(schema.field("label").type)
    names = [str(name) if text else name for name in record.classes]
    labels = pa.array(names, schema.field("label").type).take(pa.array(chosen))
    if not record.has_probabilities:
        return [labels]
    best = scores[np.arange(len(scores)), chosen]
    return [labels, *(pa.array(values, pa.float64()) for values in (best, *scores.T))]


def scored_columns(model: Model, record: ModelRecord, rows: pa.Table) -> pa.Table:
    """
    Return the columns that a model adds to rows, a row for each.

    :param rows: The features, and any other columns.
    :raises ModelError: the model cannot score them.
    """
    features = rows.select([feature.name for feature in record.features])
    return pa.Table.from_arrays(_output_columns(record, model.score(to_frame(features))), schema=output_schema(record))


def shaped(scores: Any, model: Model, rows: int) -> NDArray[np.float64]:
    """
    Return the scores of rows as floats in the shape of `Model.score`.

    :raises ModelError: there are more or fewer of them, as of a model that predicts several targets.
    """
    shape = (rows, len(model.classes)) if model.kind == "classes" else (rows,)
    values = np.asarray(scores, dtype=np.float64)
    if values.size != math.prod(shape):
        raise ModelError(
            f"the scores of a model must have the shape {shape}, got {values.shape}",
            hint="train one model for each target",
        )
    return values.reshape(shape)


def probability_names(classes: tuple[Class, ...]) -> list[str]:
    """Return a column name for each class: letters, digits and `_` of its text stay."""
    names: list[str] = []
    for place, label in enumerate(classes):
        name = f"probability_{re.sub(r'[^A-Za-z0-9_]+', '_', str(label))}"
        names.append(name if name not in names else f"{name}_{place}")
    return names


def classes_in(estimator: Any) -> tuple[Class, ...]:
    """
    Return the classes of an estimator as texts and whole numbers; () if it has none.

    :raises ModelError: one is neither.
    """
    labels = getattr(estimator, "classes_", None)
    name = type(estimator).__name__
    return () if labels is None else tuple(_plain_class(label, name) for label in np.asarray(labels).tolist())


def _plain_class(label: Any, name: str) -> Class:
    if isinstance(label, str):
        return label
    if isinstance(label, bool | int) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    raise ModelError(
        f"the classes of the `{name}` must be texts or whole numbers, got `{label}`", hint="convert the target to text"
    )
