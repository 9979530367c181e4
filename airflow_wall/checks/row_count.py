"""`row_count`: how many rows there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, Outcome, bounds, min_max_faults, number
from airflow_wall.checks.data import Data


class RowCount(Check):
    """The slice has at least `min` and at most `max` rows."""

    kind: ClassVar[str] = "row_count"

    min: int | None = Field(None, ge=0, description="Least number of rows.")
    max: int | None = Field(None, ge=0, description="Largest number of rows.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        yield from min_max_faults(self)

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        rows = data.rows.num_rows
        passed = (self.min is None or rows >= self.min) and (self.max is None or rows <= self.max)
        return Outcome(passed, f"{number(rows)} rows", bounds(self.min, self.max, "rows"))
