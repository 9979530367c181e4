"""The check `row_count`: limits on the number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, bounds, min_max_faults, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class RowCount(Check):
    """The slice has at least `min` and at most `max` rows."""

    kind: ClassVar[str] = "row_count"

    min: Plain[int] | None = Field(None, ge=0, description="Least number of rows.")
    max: Plain[int] | None = Field(None, ge=0, description="Largest number of rows.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        yield from min_max_faults(self)

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return ()

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        rows = data.row_count
        passed = (self.min is None or rows >= self.min) and (self.max is None or rows <= self.max)
        return CheckOutcome(passed, f"{number(rows)} rows", bounds(self.min, self.max, "rows"))
