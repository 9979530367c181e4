"""The check `not_null`: columns have no null, or few."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, number
from airflow_wall.checks.data import Data
from airflow_wall.text.kinds import Plain


class NotNull(Check):
    """The columns have no null and no NaN, or at most a given fraction of them."""

    kind: ClassVar[str] = "not_null"

    columns: ColumnNames = Field(description="One column or several.")
    max_fraction: Plain[float] = Field(0.0, ge=0, lt=1, description="Fraction of rows that may be null, per column.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return ", ".join(self.columns)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        rows = data.rows.num_rows
        nulls = {name: self._nulls(data, name) for name in self.columns}
        broken = {name: count for name, count in nulls.items() if count > self.max_fraction * rows}
        most = max(nulls, key=lambda name: nulls[name])
        shown = broken or {most: nulls[most]}
        observed = ", ".join(f"{number(count)} of {number(rows)} null in `{name}`" for name, count in shown.items())
        expected = "no nulls" if not self.max_fraction else f"at most {self.max_fraction:.2%} null"
        return CheckOutcome(not broken, observed, expected)

    @staticmethod
    def _nulls(data: Data, name: str) -> int:
        column = data.column(name)
        is_null = f"{column} IS NULL" + (f" OR isnan({column}::DOUBLE)" if data.type_of(name) == "float" else "")
        return int(data.one(f"SELECT count(*) FILTER (WHERE {is_null}) FROM data")[0])  # noqa: S608
