"""The check `range`: numbers lie between two bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, bounds, min_max_faults, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class Range(ColumnCheck):
    """All values of a column lie in a range. Nulls are ignored (see `not_null`); NaN is outside every range."""

    kind: ClassVar[str] = "range"

    column: Plain[str] = Field(description="A column of numbers.")
    min: Plain[float] | None = Field(None, description="Smallest value allowed.")
    max: Plain[float] | None = Field(None, description="Largest value allowed.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        yield from min_max_faults(self)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        column = f"{data.numeric(self.column)}::DOUBLE"
        outside, parameters = [f"isnan({column})"], []
        for sign, bound in (("<", self.min), (">", self.max)):
            if bound is not None:
                outside.append(f"{column} {sign} ?")
                parameters.append(bound)
        broken = f"count(*) FILTER (WHERE {' OR '.join(outside)})"
        sql = f"SELECT count({column}), {broken}, min({column}), max({column}) FROM data"  # noqa: S608
        values, outliers, low, high = data.one(sql, parameters)
        expected = bounds(self.min, self.max)
        if not values:
            return CheckOutcome(True, "no values", expected)
        extent = f"{number(low)} to {number(high)}"
        if not outliers:
            return CheckOutcome(True, extent, expected)
        observed = f"{number(outliers)} of {number(values)} values outside"
        sample = data.sample(" OR ".join(outside), parameters)
        return CheckOutcome(False, observed, expected, f"the values are {extent}", sample=sample)
