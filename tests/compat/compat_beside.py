"""Names in documents of the suite that Airflow does not have."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pendulum
from airflow.sdk import BaseOperator
from dateutil.relativedelta import relativedelta


class Beside(BaseOperator):
    """Does nothing, with arguments of every type of time."""

    template_fields = ("text", "kinds")

    def __init__(
        self,
        *,
        text: str,
        wait: timedelta | None = None,
        until: datetime | None = None,
        when: date | None = None,
        month: relativedelta | None = None,
        span: pendulum.Duration | None = None,
        moment: pendulum.DateTime | None = None,
        day: pendulum.Date | None = None,
        either: timedelta | relativedelta | None = None,
        number: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.text = text
        given = (wait, until, when, month, span, moment, day, either, number)
        self.kinds = [f"{type(each).__name__} {each!r}" for each in given]  # so that the DAG shows what it was given


def made(**arguments: Any) -> Beside:
    """Make an operator without being a class."""
    return Beside(text="x", **arguments)
