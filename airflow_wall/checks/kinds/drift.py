"""The check `drift`: values are distributed as in earlier slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, Scope, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class Drift(ColumnCheck):
    """
    The column is distributed as in the earlier slices of the table.

    There are two measures: the population stability index over ten bins of equal weight (numbers) or over the values
    (text), and the Kolmogorov-Smirnov distance. On few rows both are large by chance alone. A difference therefore
    counts only if it is above its limit and has a probability below 0.001 under equal distributions.
    """

    kind: ClassVar[str] = "drift"
    needs_earlier: ClassVar[bool] = True
    scopes: ClassVar[tuple[Scope, ...]] = ("slice",)

    column: Plain[str] = Field(description="A column of numbers, or of text for `max_psi` alone.")
    max_psi: Plain[float] | None = Field(
        None, gt=0, description="Largest population stability index; 0.25 is a common limit."
    )
    max_ks: Plain[float] | None = Field(None, gt=0, lt=1, description="Largest Kolmogorov-Smirnov distance, 0 to 1.")
    min_rows: Plain[int] = Field(
        50, ge=2, description="With fewer values here or in the earlier slices, the check passes."
    )

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if self.max_psi is None and self.max_ks is None:
            yield "needs `max_psi` or `max_ks`"

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        from airflow_wall.checks import spread  # its imports are needed only to run the check

        text = data.type_of(self.column) == "text" and self.max_ks is None
        sample = spread.Texts(data, self.column) if text else spread.Numbers(data, self.column)
        limits = [f"{name} at most {limit:g}" for name, limit in (("PSI", self.max_psi), ("KS", self.max_ks)) if limit]
        expected = ", ".join(limits)
        sizes = f"{number(sample.here)} values against {number(sample.before)} earlier"
        if min(sample.here, sample.before) < self.min_rows:
            return CheckOutcome(True, "too few rows", expected, f"{sizes}; needs {number(self.min_rows)} each")
        tests: list[tuple[bool, str, float]] = []
        if self.max_psi is not None:
            psi, chance = spread.histogram_index(*sample.histograms())
            tests.append((psi <= self.max_psi or chance >= spread.CHANCE, f"PSI {psi:.3g} (p {chance:.2g})", psi))
        if self.max_ks is not None and isinstance(sample, spread.Numbers):
            distance, chance = sample.distance()
            tests.append(
                (distance <= self.max_ks or chance >= spread.CHANCE, f"KS {distance:.3g} (p {chance:.2g})", distance)
            )
        passed, observed = all(test[0] for test in tests), ", ".join(test[1] for test in tests)
        return CheckOutcome(passed, observed, expected, sizes, score=tests[0][2])
