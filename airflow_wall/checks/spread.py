"""Measures of the difference between the checked rows and others, from counts that queries return."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from airflow_wall.checks.data import Data
from airflow_wall.histogram import BINS, TEXTS, Floats, bin_edges

CHANCE = 0.001
"""A difference that equal distributions show at least this often is not drift."""


class Numbers:
    """The finite values of a column, here and in the earlier slices."""

    def __init__(self, data: Data, column: str) -> None:
        self._data = data
        self._here, self._before = data.finite(column), data.finite(column, earlier=True)
        count = "SELECT count(*) FROM"
        self.here, self.before = (int(data.one(f"{count} ({rows})")[0]) for rows in (self._here, self._before))

    def histograms(self) -> tuple[Floats, Floats]:
        """Return rows per bin, here and before. The bins have equal weight before."""
        edges = bin_edges(self._quantiles())
        return rows_per_bin(self._data, self._here, edges), rows_per_bin(self._data, self._before, edges)

    def distance(self) -> tuple[float, float]:
        """Return the Kolmogorov-Smirnov distance and its asymptotic p-value."""
        values = f"SELECT x, 1 AS here, 0 AS before FROM ({self._here}) UNION ALL SELECT x, 0, 1 FROM ({self._before})"  # noqa: S608
        grouped = f"SELECT x, sum(here) AS here, sum(before) AS before FROM ({values}) GROUP BY x"  # noqa: S608
        up_to = "OVER (ORDER BY x ROWS UNBOUNDED PRECEDING)"
        running = f"SELECT sum(here) {up_to} AS here, sum(before) {up_to} AS before FROM ({grouped})"  # noqa: S608
        (distance,) = self._data.one(
            f"SELECT max(abs(here::DOUBLE / {self.here} - before::DOUBLE / {self.before})) FROM ({running})"  # noqa: S608
        )
        large, small = float(max(self.here, self.before)), float(min(self.here, self.before))
        chance = stats.kstwo.sf(distance, np.round(large * small / (large + small)))
        return float(distance), float(np.clip(chance, 0, 1))

    def _quantiles(self) -> Floats:
        """Return the quantiles between bins of equal weight before, interpolated as by `numpy.quantile`."""
        at = np.linspace(0, 1, BINS + 1) * (self.before - 1)
        low = np.floor(at).astype(int)
        wanted = sorted({*low.tolist(), *np.minimum(low + 1, self.before - 1).tolist()})
        places = ", ".join(map(str, wanted))
        ordered = f"SELECT x, row_number() OVER (ORDER BY x) - 1 AS place FROM ({self._before})"  # noqa: S608
        values = {place: x for x, place in self._data.pairs(f"FROM ({ordered}) WHERE place IN ({places})")}
        quantiles = []
        for place, first in zip(at.tolist(), low.tolist(), strict=True):
            a, b, part = values[first], values[min(first + 1, self.before - 1)], place - first
            quantiles.append(b - (b - a) * (1 - part) if part >= 0.5 else a + (b - a) * part)
        return np.array(quantiles)


class Texts:
    """The texts of a column, here and in the earlier slices."""

    def __init__(self, data: Data, column: str) -> None:
        name, view = data.column(column), data.view_with(column)
        texts = f"SELECT {name} AS x, 1 AS here, 0 AS before FROM data WHERE x IS NOT NULL"  # noqa: S608
        if view is not None:
            texts += f" UNION ALL SELECT {name} AS x, 0, 1 FROM {view} WHERE x IS NOT NULL"  # noqa: S608
        self._data = data
        self._grouped = f"SELECT x, sum(here) AS here, sum(before) AS before FROM ({texts}) GROUP BY x"  # noqa: S608
        totals = data.one(f"SELECT coalesce(sum(here), 0), coalesce(sum(before), 0) FROM ({self._grouped})")  # noqa: S608
        self.here, self.before = map(int, totals)

    def histograms(self) -> tuple[Floats, Floats]:
        """Return rows per text, here and before, of the most frequent texts, and last those of all others."""
        frequent = self._data.pairs(
            f"SELECT here, before FROM ({self._grouped}) ORDER BY here + before DESC, here DESC, x LIMIT {TEXTS}"  # noqa: S608
        )
        here, before = (np.array([float(row[side]) for row in frequent]) for side in (0, 1))
        return without_empty(np.append(here, self.here - here.sum()), np.append(before, self.before - before.sum()))


def rows_per_bin(data: Data, values: str, edges: Sequence[float] | Floats) -> Floats:
    """Return the number of values `x` of a query in each bin, shape (edges + 1,). A bin holds its lower edge."""
    place = " + ".join(f"(x >= {float(edge)!r}::DOUBLE)::INTEGER" for edge in edges) or "0"
    counts = dict(data.pairs(f"SELECT {place} AS bin, count(*) FROM ({values}) GROUP BY bin"))  # noqa: S608
    return np.array([float(counts.get(bin_, 0)) for bin_ in range(len(edges) + 1)])


def rows_per_text(data: Data, column: str, texts: Sequence[str]) -> Floats:
    """Return the number of checked rows with each text, and last that of the rows with any other."""
    name = data.column(column)
    grouped = f"SELECT {name}::VARCHAR AS x, count(*) AS rows FROM data WHERE {name} IS NOT NULL GROUP BY x"  # noqa: S608
    (total,) = data.one(f"SELECT coalesce(sum(rows), 0) FROM ({grouped})")  # noqa: S608
    marks = ", ".join("?" for _ in texts) or "NULL"
    counts = dict(data.pairs(f"FROM ({grouped}) WHERE x IN ({marks})", list(texts)))
    rows = [float(counts.get(text, 0)) for text in texts]
    return np.array([*rows, float(total) - sum(rows)])


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
