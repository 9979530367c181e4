"""The check `freshness`: the newest row is recent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from airflow_wall.checks.base import CheckOutcome, ColumnCheck
from airflow_wall.checks.data import Data, Unanswerable
from airflow_wall.checks.durations import duration
from airflow_wall.text.kinds import FieldKind, Plain

Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "examples": ["30m", "36h", "2d", "PT5M"]}),
    FieldKind.PLAIN,
]


class Freshness(ColumnCheck):
    """The newest time of a column is at most `max_age` before the slice's time. A time without a zone is UTC."""

    kind: ClassVar[str] = "freshness"

    column: Plain[str] = Field(description="A column of times or dates.")
    max_age: Duration = Field(description="Largest age of the newest time, e.g. `36h` or `2d`.")

    def run(self, data: Data) -> CheckOutcome:
        """See `Check.run`."""
        kind = data.type_of(self.column)
        if kind not in ("timestamp", "date"):
            raise Unanswerable(f"`{self.column}` is {kind}, not a time")
        expected = f"newest at most {_format_length(self.max_age)} before {data.now:%Y-%m-%d %H:%M} UTC"
        (newest,) = data.one(f"SELECT epoch_us(max({data.column(self.column)})::TIMESTAMP) FROM data")  # noqa: S608
        if newest is None:
            return CheckOutcome(False, "no times", expected)
        newest_time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=newest)
        age = data.now - newest_time
        when = f"newest {newest_time:%Y-%m-%d %H:%M} UTC"
        observed = (
            f"{when}, {_format_length(age)} before" if age >= timedelta() else f"{when}, {_format_length(-age)} after"
        )
        return CheckOutcome(age <= self.max_age, observed, expected)


def _format_length(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours / 24:.4g} days" if hours >= 48 else f"{hours:.4g} hours"
