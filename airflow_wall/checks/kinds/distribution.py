"""The check `distribution`: limits on the spread and the mean of numbers. Scores that are all equal fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, bounds, min_max_faults, number
from airflow_wall.checks.data import Data
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.text.kinds import Plain

_OPTIONS = ("min_distinct", "min_stddev", "min_mean", "max_mean")


class Distribution(ColumnCheck):
    """The finite values of a column differ from each other, and their mean lies in a range."""

    kind: ClassVar[str] = "distribution"

    column: Plain[str] = Field(description="A column of numbers.")
    min_distinct: Plain[int] | None = Field(None, ge=1, description="Least number of different values.")
    min_stddev: Plain[float] | None = Field(None, ge=0, description="Least standard deviation, in the column's unit.")
    min_mean: Plain[float] | None = Field(None, description="Least mean.")
    max_mean: Plain[float] | None = Field(None, description="Largest mean.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if all(getattr(self, option) is None for option in _OPTIONS):
            yield f"needs one of {listed(_OPTIONS)}"
        elif self.min_mean is not None or self.max_mean is not None:
            yield from min_max_faults(self, "min_mean", "max_mean")

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        values = data.finite(self.column)
        sql = f"SELECT count(*), favg(x), count(DISTINCT x), any_value(x) FROM ({values})"  # noqa: S608
        count, mean, distinct, some = data.one(sql)
        mean = float("nan") if mean is None else mean
        # The values are scaled, because squares of large ones exceed every float.
        scaled = f"SELECT max(abs(x - ?)) AS most FROM ({values})"  # noqa: S608
        sql = f"SELECT most, stddev_pop((x - ?) / most) FROM ({values}), ({scaled}) WHERE most > 0 GROUP BY most"  # noqa: S608
        most, share = (*data.pairs(sql, (mean, mean)), (0.0, 0.0))[0]
        spread = most * share
        tests: list[tuple[bool, str, str]] = []
        if self.min_distinct is not None:
            tests.append(
                (distinct >= self.min_distinct, f"{distinct:,} distinct", bounds(self.min_distinct, None, "distinct"))
            )
        if self.min_stddev is not None:
            tests.append((spread >= self.min_stddev, f"stddev {spread:.4g}", f"stddev {bounds(self.min_stddev, None)}"))
        if self.min_mean is not None or self.max_mean is not None:
            low = self.min_mean is None or mean >= self.min_mean
            high = self.max_mean is None or mean <= self.max_mean
            tests.append((low and high, f"mean {mean:.4g}", f"mean {bounds(self.min_mean, self.max_mean)}"))
        passed = all(test[0] for test in tests)
        equal = f"all {number(count)} values are {number(some)}" if distinct == 1 and not passed else ""
        observed = ", ".join(test[1] for test in tests)
        return CheckOutcome(passed, observed, ", ".join(test[2] for test in tests), equal)
