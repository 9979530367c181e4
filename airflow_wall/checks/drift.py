"""`drift`: values are spread as they were in earlier slices."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from airflow_wall.checks.base import Check, Outcome, number
from airflow_wall.checks.data import Data

_BINS = 10
_CHANCE = 0.001  # a difference that equal distributions show at least this often is not drift
_VALUES = 50  # values of a text column that are told apart; the rest count as one

Floats = NDArray[np.float64]


class Drift(Check):
    """
    The column is spread as in the earlier slices of the table.

    Two measures: the population stability index over ten parts of equal weight (numbers) or over the values (text),
    and the Kolmogorov-Smirnov distance. On few rows both are large by chance alone; so a difference counts only if it
    is above its limit and has a probability below 0.001 under equal distributions.
    """

    kind: ClassVar[str] = "drift"
    needs_earlier: ClassVar[bool] = True

    column: str = Field(description="A column of numbers, or of text for `max_psi` alone.")
    max_psi: float | None = Field(None, gt=0, description="Largest population stability index; 0.25 is a usual limit.")
    max_ks: float | None = Field(None, gt=0, lt=1, description="Largest Kolmogorov-Smirnov distance, 0 to 1.")
    min_rows: int = Field(50, ge=2, description="With fewer values here or in the earlier slices, the check passes.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.column

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if self.max_psi is None and self.max_ks is None:
            yield "needs `max_psi` or `max_ks`"

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        text = data.type_of(self.column) == "text" and self.max_ks is None
        here: Any = _texts(data.rows, self.column) if text else data.numbers(self.column)
        before: Any = _texts(data.earlier, self.column) if text else data.numbers(self.column, earlier=True)
        limits = [f"{name} at most {limit:g}" for name, limit in (("PSI", self.max_psi), ("KS", self.max_ks)) if limit]
        expected = ", ".join(limits)
        sizes = f"{number(len(here))} values against {number(len(before))} earlier"
        if min(len(here), len(before)) < self.min_rows:
            return Outcome(True, "too few rows", expected, f"{sizes}; needs {number(self.min_rows)} each")
        tests: list[tuple[bool, str]] = []
        if self.max_psi is not None:
            psi, chance = stability_index(*(_counts_text(here, before) if text else _counts(here, before)))
            tests.append((psi <= self.max_psi or chance >= _CHANCE, f"PSI {psi:.3g} (p {chance:.2g})"))
        if self.max_ks is not None:
            found = stats.ks_2samp(here, before, method="asymp")
            distance, chance = float(found.statistic), float(found.pvalue)
            tests.append((distance <= self.max_ks or chance >= _CHANCE, f"KS {distance:.3g} (p {chance:.2g})"))
        return Outcome(all(test[0] for test in tests), ", ".join(test[1] for test in tests), expected, sizes)


def stability_index(here: Floats, before: Floats) -> tuple[float, float]:
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


def _texts(rows: Any, column: str) -> list[str]:
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
