"""Measures of the difference between two samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from airflow_wall.histogram import Floats, frequent_texts, inner_edges, rows_per_bin, rows_per_text

CHANCE = 0.001
"""A difference that equal distributions show at least this often is not drift."""


def distance(here: Floats, before: Floats) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance of two samples and its p-value."""
    result = stats.ks_2samp(here, before, method="asymp")
    return float(result.statistic), float(result.pvalue)


def stability_index(here: Any, before: Any, *, text: bool) -> tuple[float, float]:
    """
    Return the population stability index of two samples and its p-value.

    :param text: True if the samples are lists of texts; else they are arrays of floats.
    """
    if text:
        texts = frequent_texts(here, before)
        return histogram_index(*without_empty(rows_per_text(here, texts), rows_per_text(before, texts)))
    edges = inner_edges(before)
    return histogram_index(rows_per_bin(here, edges), rows_per_bin(before, edges))


def histogram_index(here: Floats, before: Floats) -> tuple[float, float]:
    """
    Return the population stability index of two histograms and its p-value.

    Half a row is added to each bin, so that an empty bin does not make the index infinite. Under equal distributions
    PSI / (1/n + 1/m) is chi-squared with one degree of freedom less than the number of bins.

    :param here: Rows per bin, shape (bins,).
    :param before: Rows per bin, shape (bins,).
    """
    bins = len(here)
    if bins < 2:
        return 0.0, 1.0
    p = (here + 0.5) / (here.sum() + 0.5 * bins)
    q = (before + 0.5) / (before.sum() + 0.5 * bins)
    psi = float(np.sum((p - q) * np.log(p / q)))
    noise = 1 / here.sum() + 1 / before.sum()
    chance = float(stats.chi2.sf(psi / noise, bins - 1))
    return psi, chance if math.isfinite(chance) else 1.0


def without_empty(here: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Return two histograms without the bins that are empty in both."""
    filled = (here + before) > 0
    return here[filled], before[filled]


def texts(rows: Any, column: str) -> list[str]:
    """Return the values of a column of text, or [] if the column does not exist."""
    return [] if column not in rows.schema.names else rows.column(column).drop_null().to_pylist()
