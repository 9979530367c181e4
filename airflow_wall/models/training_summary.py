"""Summarize the rows that a model was trained on, so that later rows can be compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_wall.histogram import frequent_texts, inner_edges, rows_per_bin, rows_per_text
from airflow_wall.models.base import FeatureSummary
from airflow_wall.models.features import family


def summarize(rows: pa.Table, features: Sequence[str]) -> dict[str, FeatureSummary]:
    """
    Return feature -> the distribution of its values. Features of other types than numbers, texts and booleans are left
    out, and so are those without a value.
    """
    summaries = {name: _summary(rows.column(name)) for name in features}
    return {name: summary for name, summary in summaries.items() if summary is not None}


def _summary(column: pa.ChunkedArray[Any]) -> FeatureSummary | None:
    kind = family(column.type)
    if kind == "number":
        values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        edges = inner_edges(values)
        counts = tuple(map(int, rows_per_bin(values, edges)))
        return FeatureSummary(counts, edges=tuple(map(float, edges)), nulls=len(column) - len(values))
    if kind in ("text", "boolean"):
        texts: Any = column.cast(pa.string()).drop_null().to_pylist()
        if not texts:
            return None
        frequent = frequent_texts(texts)
        counts = tuple(map(int, rows_per_text(texts, frequent)))
        return FeatureSummary(counts, texts=tuple(frequent), nulls=len(column) - len(texts))
    return None
