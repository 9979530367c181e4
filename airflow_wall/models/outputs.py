"""The columns that a model adds to the rows it scores, and the names of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Class, Kind, Model, ModelRecord, Output, TargetOutput
from airflow_wall.models.features import to_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray


def output_schema(model: Model | ModelRecord) -> pa.Schema:
    """
    Return the columns that a model adds.

    ==========================  ===================================================================
    a regressor                 `score`: the number
    a classifier of 0 and 1     `score`: the probability of 1
    any other classifier        `label`: the class; with probabilities also `score`, that of the label,
                                and `probability_<class>` for each class
    several targets             these columns for each target: `score_<target>`, `label_<target>`,
                                `probability_<target>_<class>`
    ==========================  ===================================================================
    """
    if not model.parts:
        return pa.schema(_fields(model))
    return pa.schema([field for part in model.parts for field in _fields(part, f"_{part.target}")])


def _fields(output: Output, ending: str = "") -> list[pa.Field[Any]]:
    score = pa.field(f"score{ending}", pa.float64())
    if output.kind != "classes":
        return [score]
    is_text = any(isinstance(name, str) for name in output.classes)
    label = pa.field(f"label{ending}", pa.string() if is_text else pa.int64())
    if not output.has_probabilities:
        return [label]
    names = probability_names(output.classes, f"probability{ending}")
    return [label, score, *(pa.field(name, pa.float64()) for name in names)]


def _output_columns(output: Output, scores: NDArray[np.float64]) -> list[pa.Array[Any]]:
    """Return the values of the columns of one target from its scores."""
    if output.kind != "classes":
        return [pa.array(scores, pa.float64())]
    chosen = np.argmax(scores, axis=1)
    type_ = _fields(output)[0].type
    names = [str(name) if pa.types.is_string(type_) else name for name in output.classes]
    labels = pa.array(names, type_).take(pa.array(chosen))
    if not output.has_probabilities:
        return [labels]
    best = scores[np.arange(len(scores)), chosen]
    return [labels, *(pa.array(values, pa.float64()) for values in (best, *scores.T))]


def scores_by_part(parts: Sequence[TargetOutput], scores: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the scores of each target, in the shape of a model of this target alone."""
    columns = np.split(scores, np.cumsum([part.width for part in parts])[:-1], axis=1)
    return [values if part.kind == "classes" else values[:, 0] for part, values in zip(parts, columns, strict=True)]


def scored_columns(model: Model, record: ModelRecord, rows: pa.Table) -> pa.Table:
    """
    Return the columns that a model adds to rows, a row for each.

    :param rows: The features, and any other columns.
    :raises ModelError: the model cannot score them.
    """
    scores = model.score(to_frame(rows.select([feature.name for feature in record.features])))
    if record.parts:
        by_part = zip(record.parts, scores_by_part(record.parts, scores), strict=True)
        columns = [column for part, values in by_part for column in _output_columns(part, values)]
    else:
        columns = _output_columns(record, scores)
    return pa.Table.from_arrays(columns, schema=output_schema(record))


def shaped(scores: Any, model: Model, rows: int) -> NDArray[np.float64]:
    """
    Return the scores of rows as floats in the shape of `Model.score`.

    :raises ModelError: there are more or fewer of them, as of a model that predicts several targets.
    """
    shape = (rows, len(model.classes)) if model.kind == "classes" else (rows,)
    hint = "name all columns that it predicts as the `target` of `Trained`"
    if model.parts:
        shape = (rows, sum(part.width for part in model.parts))
        hint = f"fit it on all columns of `target`: {', '.join(part.target for part in model.parts)}"
    values = np.asarray(scores, dtype=np.float64)
    if values.size != math.prod(shape):
        raise ModelError(f"the scores of a model must have the shape {shape}, got {values.shape}", hint=hint)
    return values.reshape(shape)


def probability_names(classes: tuple[Class, ...], beginning: str = "probability") -> list[str]:
    """Return a column name for each class: letters, digits and `_` of its text stay."""
    names: list[str] = []
    for place, label in enumerate(classes):
        name = f"{beginning}_{re.sub(r'[^A-Za-z0-9_]+', '_', str(label))}"
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


def output_of(estimator: Any, targets: Sequence[str]) -> tuple[Kind, tuple[Class, ...], bool, tuple[TargetOutput, ...]]:
    """
    Return the kind, classes, `has_probabilities` and parts of an estimator with scikit-learn's attributes and methods.

    :param targets: The columns that it predicts, if there are several.
    :raises ModelError: a class is neither a text nor a whole number, or `targets` are others.
    """
    labels = getattr(estimator, "classes_", None)
    has_probabilities = labels is None or hasattr(estimator, "predict_proba")
    if not targets:
        if isinstance(labels, list) and labels and np.ndim(labels[0]):
            raise ModelError(
                f"the `{type(estimator).__name__}` predicts {len(labels)} targets",
                hint="name all of them as the `target` of `Trained`",
            )
        part = _part("", None if labels is None else classes_in(estimator), has_probabilities)
        return part.kind, part.classes, part.has_probabilities, ()
    name = type(estimator).__name__
    lists = labels if isinstance(labels, list) else [[0, 1]] * len(targets)  # the latter of a multi-label classifier
    if len(lists) != len(targets):
        raise ModelError(
            f"the `{name}` predicts {len(lists)} targets, and `target` of `Trained` has {len(targets)}: "
            f"{', '.join(targets)}",
            hint="name all of them, in the order of the estimator",
        )
    classes = [tuple(_plain_class(label, name) for label in np.asarray(values).tolist()) for values in lists]
    parts = [
        _part(target, None if labels is None else own, has_probabilities)
        for target, own in zip(targets, classes, strict=True)
    ]
    return "several", (), has_probabilities, tuple(parts)


def _part(target: str, classes: tuple[Class, ...] | None, has_probabilities: bool) -> TargetOutput:
    if classes is None:
        return TargetOutput(target, "regression")
    if classes == (0, 1) and has_probabilities:
        return TargetOutput(target, "binary")
    return TargetOutput(target, "classes", classes, has_probabilities)


def estimator_scores(estimator: Any, model: Model, rows: Any) -> NDArray[np.float64]:
    """Return the scores, see `Model.score`, of an estimator with `predict`, `classes_` and perhaps `predict_proba`."""
    outputs: Sequence[Output] = model.parts or (model,)
    if all(output.kind == "regression" for output in outputs):
        return shaped(estimator.predict(rows), model, len(rows))
    if not model.has_probabilities:
        named = np.asarray(estimator.predict(rows)).reshape(len(rows), len(outputs))
        of_each = [named[:, [place]] == np.asarray(output.classes)[None, :] for place, output in enumerate(outputs)]
        return shaped(np.hstack(of_each), model, len(rows))
    scores = estimator.predict_proba(rows)
    if not model.parts:
        scores = [scores]
    if isinstance(scores, list):  # else it has a column for each target, as of a multi-label classifier
        pairs = zip(outputs, map(np.asarray, scores), strict=True)
        scores = np.hstack([values[:, 1:] if output.kind == "binary" else values for output, values in pairs])
    return shaped(scores, model, len(rows))


def _plain_class(label: Any, name: str) -> Class:
    if isinstance(label, str):
        return label
    if isinstance(label, bool | int) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    raise ModelError(
        f"the classes of the `{name}` must be texts or whole numbers, got `{label}`", hint="convert the target to text"
    )
