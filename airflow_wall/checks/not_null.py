"""`not_null`: values are there."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, Columns, Outcome, number
from airflow_wall.checks.data import Data


class NotNull(Check):
    """The columns have no null and no NaN, or at most a part of them."""

    kind: ClassVar[str] = "not_null"

    columns: Columns = Field(description="One column or several.")
    max_fraction: float = Field(0.0, ge=0, lt=1, description="Part of the rows that may be null, per column.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return ", ".join(self.columns)

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        rows = data.rows.num_rows
        lost = {name: self._nulls(data, name) for name in self.columns}
        broken = {name: count for name, count in lost.items() if count > self.max_fraction * rows}
        most = max(lost, key=lambda name: lost[name])
        seen = broken or {most: lost[most]}
        observed = ", ".join(f"{number(count)} of {number(rows)} null in `{name}`" for name, count in seen.items())
        expected = "no nulls" if not self.max_fraction else f"at most {self.max_fraction:.2%} null"
        return Outcome(not broken, observed, expected)

    @staticmethod
    def _nulls(data: Data, name: str) -> int:
        column = data.column(name)
        lost = f"{column} IS NULL" + (f" OR isnan({column}::DOUBLE)" if data.type_of(name) == "float" else "")
        return int(data.one(f"SELECT count(*) FILTER (WHERE {lost}) FROM data")[0])  # noqa: S608
