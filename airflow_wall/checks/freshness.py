"""`freshness`: the newest row is not old."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from airflow_wall.checks.base import Check, Outcome
from airflow_wall.checks.data import Data, Unanswerable
from airflow_wall.checks.durations import duration

Duration = Annotated[
    timedelta, BeforeValidator(duration), WithJsonSchema({"type": "string", "examples": ["30m", "36h", "2d", "PT5M"]})
]


class Freshness(Check):
    """The newest time of a column is at most `max_age` before the slice's time. A time without a zone is UTC."""

    kind: ClassVar[str] = "freshness"

    column: str = Field(description="A column of times or dates.")
    max_age: Duration = Field(description="How old the newest may be, e.g. `36h` or `2d`.")

    def subject(self) -> str:
        """See `Check.subject`."""
        return self.column

    def run(self, data: Data) -> Outcome:
        """See `Check.run`."""
        import pyarrow.compute as pc

        kind = data.type_of(self.column)
        if kind not in ("timestamp", "date"):
            raise Unanswerable(f"`{self.column}` is {kind}, not a time")
        expected = f"newest at most {_said(self.max_age)} before {data.now:%Y-%m-%d %H:%M} UTC"
        newest: Any = pc.max(data.rows.column(self.column)).as_py()
        if newest is None:
            return Outcome(False, "no times", expected)
        found = _utc(newest)
        age = data.now - found
        when = f"newest {found:%Y-%m-%d %H:%M} UTC"
        observed = f"{when}, {_said(age)} before" if age >= timedelta() else f"{when}, {_said(-age)} after"
        return Outcome(age <= self.max_age, observed, expected)


def _utc(value: date | datetime) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _said(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours / 24:.4g} days" if hours >= 48 else f"{hours:.4g} hours"
