"""The check `completeness`: each group has rows, and values in its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Self

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, number
from airflow_wall.checks.data import Data, null_condition, plain_text, value_as_text
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.text.kinds import Plain


class Completeness(Check):
    """
    Each group of rows is present, and its columns have values. A group is the rows with one value of `by`.

    The report has a result for the presence of the groups, and one for each column.
    """

    kind: ClassVar[str] = "completeness"

    by: Plain[str] = Field(description="The column whose values are the groups.")
    groups: Plain[list[bool | int | float | str]] | None = Field(
        None, min_length=1, description="Groups that must have rows; others may have some too."
    )
    columns: ColumnNames | None = Field(None, description="Columns that must have values in every group.")
    min_fraction: Plain[float] = Field(
        1.0, gt=0, le=1, description="Least fraction of a group's rows with a value, per column."
    )

    def subject(self) -> str:
        """See `Check.subject`."""
        return f"{self.by}" if self.columns is None else f"{', '.join(self.columns)} by {self.by}"

    def faults(self) -> Iterator[str]:
        """See `Check.faults`."""
        if self.groups is None and self.columns is None:
            yield "needs `groups` or `columns`"
        if self.columns is None and "min_fraction" in self.model_fields_set:
            yield "`min_fraction` has no effect without `columns`"

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return (self.by, *(self.columns or ()))

    def split(self, data: Data) -> Iterable[Self]:  # noqa: ARG002
        """Return a check of the groups, and one for each column."""
        if self.groups is not None:
            yield self.part("groups", columns=None) if self.columns else self
        for name in self.columns or ():
            yield self.part(name, groups=None, columns=[name])

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        by = data.column(self.by)
        return self._presence(data, by) if self.columns is None else self._values(data, by, self.columns[0])

    def _presence(self, data: Data, by: str) -> CheckOutcome:
        expected = [plain_text(value) for value in self.groups or ()]
        marks = ", ".join("(?)" for _ in expected)
        groups = f"SELECT DISTINCT {value_as_text(by, data.type_of(self.by))} AS value FROM data"  # noqa: S608
        lost = f"SELECT value FROM (VALUES {marks}) AS expected(value) ANTI JOIN ({groups}) AS found USING (value)"  # noqa: S608
        missing = {str(row["value"]) for row in data.first(lost, len(expected), expected)}
        names = [value for value in expected if value in missing]
        return CheckOutcome(
            not names, f"no rows of {listed(names, 10)}" if names else "all there", f"rows of {listed(expected, 10)}"
        )

    def _values(self, data: Data, by: str, name: str) -> CheckOutcome:
        has_value = f"count(*) FILTER (WHERE NOT ({null_condition(data, name)})) / count(*)"
        groups = f"SELECT {by}::VARCHAR AS value, {has_value} AS fraction FROM data GROUP BY 1"  # noqa: S608
        below = f"SELECT * FROM ({groups}) WHERE fraction < {self.min_fraction!r}"  # noqa: S608
        expected = f"values in at least {self.min_fraction:.2%} of the rows of each `{self.by}`"
        (all_groups,) = data.one(f"SELECT count(*) FROM ({groups})")  # noqa: S608
        (count,) = data.one(f"SELECT count(*) FROM ({below})")  # noqa: S608
        if not count:
            return CheckOutcome(True, f"{number(all_groups)} groups", expected)
        first = data.first(f"{below} ORDER BY fraction, value", 3)
        shown = "; ".join(f"{self.by}={row['value']}: {float(str(row['fraction'])):.2%}" for row in first)
        return CheckOutcome(False, f"{number(count)} of {number(all_groups)} groups below", expected, shown)
