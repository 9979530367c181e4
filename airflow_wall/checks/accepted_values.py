"""`accepted_values`: only values of a list."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, Outcome, number
from airflow_wall.checks.data import Data


class AcceptedValues(Check):
    """A column holds only these values. Nulls are passed over (see `not_null`)."""

    kind: ClassVar[str] = "accepted_values"

    column: str = Field(description="A column.")
    values: list[bool | int | float | str] = Field(min_length=1, description="What it may hold.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.column

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        column = data.column(self.column)
        # Compared as text, so that one list serves numbers, text and booleans: 1 and 1.0 are written alike below.
        marks = ", ".join("?" for _ in self.values)
        other = (
            f"SELECT {column}::VARCHAR AS value, count(*) AS rows FROM data "  # noqa: S608
            f"WHERE {column} IS NOT NULL AND {_text(column, data.type_of(self.column))} NOT IN ({marks}) GROUP BY 1"
        )
        parameters = [_written(value) for value in self.values]
        expected = "one of " + ", ".join(f"`{_written(value)}`" for value in self.values[:10])
        expected += f" and {len(self.values) - 10} more" if len(self.values) > 10 else ""
        found = data.first(f"{other} ORDER BY rows DESC, value", 4, parameters)
        if not found:
            return Outcome(True, "only these", expected)
        count, rows = data.one(f"SELECT count(*), sum(rows) FROM ({other})", parameters)  # noqa: S608
        seen = ", ".join(f"`{row['value']}`" for row in found) + (", ..." if count > len(found) else "")
        return Outcome(False, f"{seen} in {number(int(rows))} rows", expected)


def _text(column: str, kind: str) -> str:
    return f"printf('%.17g', {column}::DOUBLE)" if kind in ("integer", "float") else f"{column}::VARCHAR"


def _written(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{float(value):.17g}"
