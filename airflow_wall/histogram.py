"""Histograms of columns: rows per bin of numbers, or per text. Two samples are compared by the same bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 10
TEXTS = 50
"""Texts that are counted separately; the rest count as one."""

Floats = NDArray[np.float64]


def inner_edges(values: Floats) -> Floats:
    """
    Return the edges between bins of equal weight, as far as ties allow.

    The outermost bins are open, so that they hold all values outside the range of these ones.

    :param values: At least one finite value, shape (values,).
    """
    return bin_edges(np.quantile(values, np.linspace(0, 1, BINS + 1)))


def bin_edges(quantiles: Floats) -> Floats:
    """Return the edges between bins of equal weight, from the quantiles of the values."""
    edges = np.unique(quantiles)
    return edges[1:-1] if len(edges) > 2 else np.unique([edges[0], np.nextafter(edges[-1], np.inf)])


def rows_per_bin(values: Floats, edges: Floats) -> Floats:
    """Return the number of values in each bin, shape (edges + 1,)."""
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).astype(np.float64)


def rows_per_text(values: Iterable[str], texts: Sequence[str]) -> Floats:
    """Return the number of rows with each text, and last that of the rows with any other, shape (texts + 1,)."""
    counter = Counter(values)
    rows = [float(counter[text]) for text in texts]
    return np.array([*rows, counter.total() - sum(rows)])


def frequent_texts(*samples: Iterable[str]) -> list[str]:
    """Return the most frequent texts of all samples together."""
    return [text for text, _ in sum((Counter(sample) for sample in samples), Counter()).most_common(TEXTS)]
