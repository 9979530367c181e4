"""The check `row_count_change`: the slice has about as many rows as the slices before it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, Scope, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class RowCountChange(Check):
    """
    The number of rows of the slice is near the median or mean of the slices before it.

    A table that `mode: full` computes has no slices, so the check passes.
    """

    kind: ClassVar[str] = "row_count_change"
    scopes: ClassVar[tuple[Scope, ...]] = ("slice",)

    max_drop: Plain[float] | None = Field(
        None, ge=0, lt=1, description="Largest share by which the slice may be smaller; `0.5` allows half the rows."
    )
    max_rise: Plain[float] | None = Field(
        None, ge=0, description="Largest share by which it may be larger; `1.0` allows twice the rows."
    )
    against: Plain[Literal["median", "mean"]] = Field("median", description="Number that it is compared with.")
    last: Plain[int] = Field(10, ge=1, le=366, description="Number of slices before this one that are counted.")
    min_slices: Plain[int] = Field(3, ge=1, description="With fewer slices before this one, the check passes.")

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if self.max_drop is None and self.max_rise is None:
            yield "needs `max_drop` or `max_rise`"
        if self.min_slices > self.last and "min_slices" in self.model_fields_set:
            yield f"`min_slices` {self.min_slices} is above `last` {self.last}"

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return ()

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        rows = data.row_count
        limits = ((self.max_drop, "below"), (self.max_rise, "above"))
        expected = ", ".join(f"at most {limit:.2%} {way}" for limit, way in limits if limit is not None)
        counts = data.reader.earlier_counts(self.last)
        needed = min(self.min_slices, self.last)
        if len(counts) < needed:
            detail = f"{number(len(counts))} slices before this one; needs {number(needed)}"
            return CheckOutcome(True, f"{number(rows)} rows, too few slices", expected, detail)
        usual = statistics.median(counts.values()) if self.against == "median" else statistics.mean(counts.values())
        change = rows / usual - 1 if usual else math.inf if rows else 0.0
        passed = -(1 if self.max_drop is None else self.max_drop) <= change
        passed = passed and (self.max_rise is None or change <= self.max_rise)
        way = f"{abs(change):.2%} {'below' if change < 0 else 'above'}"
        observed = f"{number(rows)} rows, {way} the {self.against} {number(usual)} of {number(len(counts))} slices"
        return CheckOutcome(passed, observed, expected)
