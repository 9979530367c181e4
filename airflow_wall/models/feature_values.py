"""Compare the values of features with those that a model was trained on: nulls, and categories that are new."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError
from airflow_wall.models.base import FeatureSummary, ModelRecord

NEW_CATEGORIES = 0.2
"""Share of the values of a feature that may be new if the pipeline sets none."""

_LEAST_NEW = 5
"""Number of new values from which on their share counts. In fewer rows, it says nothing."""

_RARE = 1e-3
"""Probability below which a feature does not have only nulls by chance."""

_COLUMNS: dict[str, pa.DataType] = {
    "feature": pa.string(),
    "rows": pa.int64(),
    "values": pa.int64(),
    "others": pa.int64(),
    "example": pa.string(),
}
COUNTS = pa.schema(_COLUMNS)
"""Columns of the result of `CountValues`."""


@dataclass(frozen=True)
class CountValues:
    """
    Count the values of features, part by part. It is sent to the process with the rows.

    The result has a row for each part and feature: its rows, those with a value (neither null nor NaN), and those with
    a text that was none of the frequent ones in training, with the first of these texts.

    :param training: Feature -> its distribution in the training rows.
    """

    training: Mapping[str, FeatureSummary]

    def __call__(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the counts of each part."""
        for rows in parts:
            counts = [
                _count(name, rows.column(name), summary)
                for name, summary in self.training.items()
                if name in rows.column_names
            ]
            yield pa.Table.from_pylist(counts, schema=COUNTS)


def _count(name: str, column: pa.ChunkedArray[Any], summary: FeatureSummary) -> dict[str, Any]:
    values = column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))
    counts = {"feature": name, "rows": len(column), "values": len(values), "others": 0, "example": None}
    if summary.texts is not None and len(values):
        texts = values.cast(pa.string())
        others = texts.filter(pc.invert(pc.is_in(texts, value_set=pa.array(summary.texts, pa.string()))))
        counts |= {"others": len(others), "example": pc.min(others).as_py()}
    return counts


def check_values(
    record: ModelRecord,
    counts: Iterable[pa.Table],
    where: str,
    new_categories: float = NEW_CATEGORIES,
    accepted: Collection[str] = (),
) -> None:
    """
    Check that no feature has only nulls, or too many new categories, unlike in the training of a model.

    Some libraries score such rows without a word, as if every value were missing.

    :param counts: The result of `CountValues`.
    :param where: The rows, for messages.
    :param new_categories: Share of the values of a feature that may be new.
    :param accepted: Features that may differ.
    :raises ModelError: there are such features; the message names all of them.
    """
    total: dict[str, dict[str, Any]] = {}
    for row in (row for part in counts for row in part.to_pylist()):
        sums = total.setdefault(row["feature"], {"rows": 0, "values": 0, "others": 0, "example": None})
        for key in ("rows", "values", "others"):
            sums[key] += row[key]
        examples = [text for text in (sums["example"], row["example"]) if text is not None]
        sums["example"] = min(examples, default=None)
    checked = {name: sums for name, sums in total.items() if name in record.training and name not in accepted}
    lost = [name for name, sums in checked.items() if is_lost(sums, record.training[name])]
    new = [
        _describe(name, sums) for name, sums in checked.items() if _is_new(sums, record.training[name], new_categories)
    ]
    if not lost and not new:
        return
    parts, hints = [], []
    if lost:
        parts.append(f"it has only nulls in {listed(lost)}, which had values when the model was trained")
        hints.append("correct the step that writes the column, or train a model without this feature")
    if new:
        parts.append(f"more than {new_categories:.0%} of the values are new in {', '.join(new)}")
        hints.append("correct the step that writes the values, or raise `new_categories`")
    raise ModelError(
        f"{where} does not fit version {record.version} of model `{record.name}`: {'; '.join(parts)}",
        hint="; ".join(hints),
    )


def is_lost(sums: Mapping[str, Any], training: FeatureSummary) -> bool:
    """Return True if all values of a feature are null, and nulls were too rare in training for this to be chance."""
    trained = sum(training.counts)
    share = training.nulls / (training.nulls + trained) if trained else 1.0
    return bool(sums["rows"] and not sums["values"] and share ** sums["rows"] < _RARE)


def _is_new(sums: Mapping[str, Any], training: FeatureSummary, limit: float) -> bool:
    """Return True if the share of rare and unknown texts has grown by more than a limit."""
    if training.texts is None or not sums["values"]:
        return False
    others = sums["others"] - sums["values"] * training.counts[-1] / max(sum(training.counts), 1)
    return bool(others >= _LEAST_NEW and others > limit * sums["values"])


def _describe(name: str, sums: Mapping[str, Any]) -> str:
    return f"`{name}` ({sums['others']:,} of {sums['values']:,}, e.g. `{sums['example']}`)"
