"""How far two samples are spread apart."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_BINS = 10
_VALUES = 50  # values of a text column that are told apart; the rest count as one

Floats = NDArray[np.float64]


def distance(here: Floats, before: Floats) -> tuple[float, float]:
    """The Kolmogorov-Smirnov distance of two samples, and how likely it is at least that large by chance."""
    found = stats.ks_2samp(here, before, method="asymp")
    return float(found.statistic), float(found.pvalue)


def stability_index(here: Any, before: Any, *, text: bool) -> tuple[float, float]:
    """
    The population stability index of two samples, and how likely it is at least that large by chance.

    :param text: The samples are lists of texts; else arrays of floats.
    """
    return _stability_index(*(_counts_text(here, before) if text else _counts(here, before)))


def _stability_index(here: Floats, before: Floats) -> tuple[float, float]:
    """
    The population stability index of two histograms, and how likely it is at least that large by chance.

    Half a row is added to each part, so that an empty one does not make it infinite. Under equal distributions
    PSI / (1/n + 1/m) is chi-squared with one degree of freedom less than there are parts.

    :param here: Rows per part, shape (parts,).
    :param before: Rows per part, shape (parts,).
    """
    parts = len(here)
    if parts < 2:
        return 0.0, 1.0
    p = (here + 0.5) / (here.sum() + 0.5 * parts)
    q = (before + 0.5) / (before.sum() + 0.5 * parts)
    psi = float(np.sum((p - q) * np.log(p / q)))
    noise = 1 / here.sum() + 1 / before.sum()
    chance = float(stats.chi2.sf(psi / noise, parts - 1))
    return psi, chance if math.isfinite(chance) else 1.0


def _counts(here: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Rows per part, where the parts have equal weight in `before` as far as ties allow."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)))
    # A value of its own on either side: all that `before` never saw falls into the outermost parts.
    inner = edges[1:-1] if len(edges) > 2 else np.unique([edges[0], np.nextafter(edges[-1], np.inf)])
    return _histogram(here, inner), _histogram(before, inner)


def _histogram(values: Floats, inner: Floats) -> Floats:
    return np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1).astype(np.float64)


def texts(rows: Any, column: str) -> list[str]:
    """The values of a column of text; none where there is no such column."""
    return [] if column not in rows.schema.names else rows.column(column).drop_null().to_pylist()


def _counts_text(here: list[str], before: list[str]) -> tuple[Floats, Floats]:
    """Rows per value; rare values count as one."""
    now, then = Counter(here), Counter(before)
    known = [value for value, _ in (now + then).most_common(_VALUES)]
    counts = []
    for counter in (now, then):
        found = [float(counter[value]) for value in known]
        counts.append(np.array([*found, counter.total() - sum(found)]))
    keep = (counts[0] + counts[1]) > 0
    return counts[0][keep], counts[1][keep]
