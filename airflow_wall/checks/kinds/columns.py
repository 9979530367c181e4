"""The check `columns`: the table has these columns, of these types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.checks.base import Check, CheckOutcome, Scope
from airflow_wall.checks.data import Data, kind_of
from airflow_wall.text.kinds import Plain

Type = Literal["integer", "float", "number", "text", "boolean", "timestamp", "date"]


class Columns(Check):
    """The table has these columns, and may have others too."""

    kind: ClassVar[str] = "columns"
    scopes: ClassVar[tuple[Scope, ...]] = ()

    required: Plain[list[str] | dict[str, Type]] = Field(
        min_length=1, description="Names, or names with types; `number` is `integer` or `float`."
    )

    def reads(self) -> Sequence[str]:
        """See `Check.reads`."""
        return ()

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        kinds = {field.name: kind_of(field.type) for field in data.schema}
        required: dict[str, str | None] = (
            dict(self.required) if isinstance(self.required, dict) else dict.fromkeys(self.required)
        )
        wrong = [f"no `{name}`" for name in required if name not in kinds]
        wrong += [
            f"`{name}` is {kinds[name]}"
            for name, type_ in required.items()
            if name in kinds and not _has_type(kinds[name], type_)
        ]
        expected = ", ".join(f"`{name}`{f' {type_}' if type_ else ''}" for name, type_ in required.items())
        present = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
        return CheckOutcome(
            not wrong, ", ".join(wrong) or "all there", expected, f"the columns are {present}" if wrong else ""
        )


def _has_type(kind: str, required: str | None) -> bool:
    return required is None or kind == required or (required == "number" and kind in ("integer", "float"))
