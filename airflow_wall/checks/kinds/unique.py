"""The check `unique`: no key occurs twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, ColumnNames, Scope, number
from airflow_wall.checks.data import SLICE, Data, quoted, shown_rows, unused_name

_SHOWN = 3  # slices of a key that a report names


class Unique(Check):
    """No two rows have the same values in these columns; two nulls count as the same."""

    kind: ClassVar[str] = "unique"
    scopes: ClassVar[tuple[Scope, ...]] = ("table", "slice")

    key: ColumnNames = Field(description="One column, or several that form the key together.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return ", ".join(self.key)

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return self.key

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        key = ", ".join(data.column(name) for name in self.key)
        rows_name, slices_name = (quoted(unused_name(name, self.key)) for name in ("rows", "slices"))
        slices = ""
        if self.scope == "table":
            found = f"list_sort(list_distinct(list(coalesce({SLICE}, 'none'))))[:{_SHOWN}]"
            slices = f", array_to_string({found}, ' and ') AS {slices_name}"
        repeated = f"SELECT {key}, count(*) AS {rows_name}{slices} FROM data GROUP BY {key} HAVING count(*) > 1"  # noqa: S608
        keys, rows = data.one(f"SELECT count(*), coalesce(sum({rows_name}), 0) FROM ({repeated})")  # noqa: S608
        if not keys:
            return CheckOutcome(True, "every key once", "every key once")
        first = data.first(f"{repeated} ORDER BY ALL", 3)
        return CheckOutcome(
            False, f"{number(keys)} keys in {number(int(rows))} rows", "every key once", shown_rows(first)
        )
