"""The check `accepted_values`: a column holds only values of a list."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import CheckOutcome, ColumnCheck, number
from airflow_wall.checks.data import Data, plain_text, value_as_text
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.text.kinds import Plain


class AcceptedValues(ColumnCheck):
    """A column holds only these values. Nulls are ignored (see `not_null`)."""

    kind: ClassVar[str] = "accepted_values"

    column: Plain[str] = Field(description="A column.")
    values: Plain[list[bool | int | float | str]] = Field(min_length=1, description="The values that it may hold.")

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        column = data.column(self.column)
        marks = ", ".join("?" for _ in self.values)
        text = value_as_text(column, data.type_of(self.column))
        condition = f"{column} IS NOT NULL AND {text} NOT IN ({marks})"
        unexpected = f"SELECT {column}::VARCHAR AS value, count(*) AS rows FROM data WHERE {condition} GROUP BY 1"  # noqa: S608
        parameters = [plain_text(value) for value in self.values]
        expected = f"one of {listed(parameters, 10)}"
        examples = data.first(f"{unexpected} ORDER BY rows DESC, value", 4, parameters)
        if not examples:
            return CheckOutcome(True, "only these", expected)
        count, rows = data.one(f"SELECT count(*), sum(rows) FROM ({unexpected})", parameters)  # noqa: S608
        shown = ", ".join(f"`{row['value']}`" for row in examples) + (", ..." if count > len(examples) else "")
        sample = data.sample(condition, parameters)
        return CheckOutcome(False, f"{shown} in {number(int(rows))} rows", expected, sample=sample)
