"""The check `not_null`: columns have no null, or few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, number
from airflow_wall.checks.data import Data, null_condition
from airflow_wall.text.kinds import Plain


class NotNull(Check):
    """Each of the columns has no null and no NaN, or few of them. The report has a result for each column."""

    kind: ClassVar[str] = "not_null"

    columns: ColumnNames = Field(description="One column or several.")
    max_fraction: Plain[float] = Field(0.0, ge=0, lt=1, description="Fraction of rows that may be null, per column.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return ", ".join(self.columns)

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return self.columns

    def split(self, data: Data) -> Iterable[Self]:  # noqa: ARG002
        """Return a check for each column."""
        return (self,) if len(self.columns) == 1 else tuple(self.part(name, columns=[name]) for name in self.columns)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        (name,) = self.columns
        rows = data.row_count
        nulls = int(data.one(f"SELECT count(*) FILTER (WHERE {null_condition(data, name)}) FROM data")[0])  # noqa: S608
        expected = "no nulls" if not self.max_fraction else f"at most {self.max_fraction:.2%} null"
        passed = nulls <= self.max_fraction * rows
        sample = [] if passed else data.sample(null_condition(data, name))
        return CheckOutcome(passed, f"{number(nulls)} of {number(rows)} null", expected, sample=sample)
