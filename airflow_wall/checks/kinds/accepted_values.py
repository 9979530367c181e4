"""The check `accepted_values`: a column holds only values of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, number
from airflow_wall.checks.data import Data
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.text.kinds import Plain


class AcceptedValues(Check):
    """A column holds only these values. Nulls are ignored (see `not_null`)."""

    kind: ClassVar[str] = "accepted_values"

    column: Plain[str] = Field(description="A column.")
    values: Plain[list[bool | int | float | str]] = Field(min_length=1, description="The values that it may hold.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.column

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return (self.column,)

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        column = data.column(self.column)
        # Values are compared as text, so that one list serves numbers, text and booleans. `_format_value` writes 1 and
        # 1.0 alike.
        marks = ", ".join("?" for _ in self.values)
        unexpected = (
            f"SELECT {column}::VARCHAR AS value, count(*) AS rows FROM data "  # noqa: S608
            f"WHERE {column} IS NOT NULL AND {_as_text(column, data.type_of(self.column))} NOT IN ({marks}) GROUP BY 1"
        )
        parameters = [_format_value(value) for value in self.values]
        expected = f"one of {listed(parameters, 10)}"
        examples = data.first(f"{unexpected} ORDER BY rows DESC, value", 4, parameters)
        if not examples:
            return CheckOutcome(True, "only these", expected)
        count, rows = data.one(f"SELECT count(*), sum(rows) FROM ({unexpected})", parameters)  # noqa: S608
        shown = ", ".join(f"`{row['value']}`" for row in examples) + (", ..." if count > len(examples) else "")
        return CheckOutcome(False, f"{shown} in {number(int(rows))} rows", expected)


def _as_text(column: str, kind: str) -> str:
    return f"printf('%.17g', {column}::DOUBLE)" if kind in ("integer", "float") else f"{column}::VARCHAR"


def _format_value(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{float(value):.17g}"
