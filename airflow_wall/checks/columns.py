"""`columns`: which columns there are, and of which type."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.checks.base import Check, Outcome
from airflow_wall.checks.data import Data, kind_of

Type = Literal["integer", "float", "number", "text", "boolean", "timestamp", "date"]


class RequiredColumns(Check):
    """The table has these columns; others may be there too."""

    kind: ClassVar[str] = "columns"

    required: list[str] | dict[str, Type] = Field(
        min_length=1, description="Names, or names with types; `number` is `integer` or `float`."
    )

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        kinds = {field.name: kind_of(field.type) for field in data.rows.schema}
        wanted: dict[str, str | None] = (
            dict(self.required) if isinstance(self.required, dict) else dict.fromkeys(self.required)
        )
        wrong = [f"no `{name}`" for name in wanted if name not in kinds]
        wrong += [
            f"`{name}` is {kinds[name]}"
            for name, type_ in wanted.items()
            if name in kinds and not _is(kinds[name], type_)
        ]
        expected = ", ".join(f"`{name}`{f' {type_}' if type_ else ''}" for name, type_ in wanted.items())
        have = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
        return Outcome(not wrong, ", ".join(wrong) or "all there", expected, f"the columns are {have}" if wrong else "")


def _is(kind: str, wanted: str | None) -> bool:
    return wanted is None or kind == wanted or (wanted == "number" and kind in ("integer", "float"))
