"""Measures of the difference between two samples."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_BINS = 10
_VALUES = 50  # values of a text column that are counted separately; the rest count as one

Floats = NDArray[np.float64]


def distance(here: Floats, before: Floats) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance of two samples and its p-value."""
    result = stats.ks_2samp(here, before, method="asymp")
    return float(result.statistic), float(result.pvalue)


def stability_index(here: Any, before: Any, *, text: bool) -> tuple[float, float]:
    """
    Return the population stability index of two samples and its p-value.

    :param text: True if the samples are lists of texts; else they are arrays of floats.
    """
    return _stability_index(*(_counts_text(here, before) if text else _counts(here, before)))


def _stability_index(here: Floats, before: Floats) -> tuple[float, float]:
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


def _counts(here: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Return rows per bin. The bins have equal weight in `before`, as far as ties allow."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)))
    # The outermost bins are open, so that they hold all values outside the range of `before`.
    inner = edges[1:-1] if len(edges) > 2 else np.unique([edges[0], np.nextafter(edges[-1], np.inf)])
    return _histogram(here, inner), _histogram(before, inner)


def _histogram(values: Floats, inner: Floats) -> Floats:
    return np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1).astype(np.float64)


def texts(rows: Any, column: str) -> list[str]:
    """Return the values of a column of text, or [] if the column does not exist."""
    return [] if column not in rows.schema.names else rows.column(column).drop_null().to_pylist()


def _counts_text(here: list[str], before: list[str]) -> tuple[Floats, Floats]:
    """Return rows per value; all rare values together count as one."""
    now, then = Counter(here), Counter(before)
    frequent = [value for value, _ in (now + then).most_common(_VALUES)]
    counts = []
    for counter in (now, then):
        rows = [float(counter[value]) for value in frequent]
        counts.append(np.array([*rows, counter.total() - sum(rows)]))
    keep = (counts[0] + counts[1]) > 0
    return counts[0][keep], counts[1][keep]
