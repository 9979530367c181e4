"""The check `sum`: the total of a column lies between two bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, Scope, bounds, min_max_faults, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class Sum(ColumnCheck):
    """The total of a column lies in a range. Nulls are ignored (see `not_null`); without a value the check fails."""

    kind: ClassVar[str] = "sum"
    scopes: ClassVar[tuple[Scope, ...]] = ("table", "slice")

    column: Plain[str] = Field(description="A column of numbers.")
    min: Plain[float] | None = Field(None, description="Smallest total allowed.")
    max: Plain[float] | None = Field(None, description="Largest total allowed.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        yield from min_max_faults(self)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        column = data.numeric(self.column)
        values, total = data.one(f"SELECT count({column}), sum({column})::DOUBLE FROM data")  # noqa: S608
        expected = bounds(self.min, self.max)
        if not values:
            return CheckOutcome(False, "no values", expected)
        passed = (self.min is None or total >= self.min) and (self.max is None or total <= self.max)
        return CheckOutcome(passed, f"{number(total)} in {number(values)} values", expected)
