"""Arguments become the types of time that a signature asks for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest
from dateutil.relativedelta import relativedelta

from airflow_wall.dag.coercion import coerced
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings


class Taking:
    def __init__(
        self,
        length: timedelta | None = None,
        calendar: relativedelta | None = None,
        span: pendulum.Duration | None = None,
        moment: datetime | None = None,
        day: date | None = None,
        here: pendulum.DateTime | None = None,
        number: int = 0,
    ) -> None:
        pass


class Passing(Taking):
    def __init__(self, day: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("length", "5m", timedelta(minutes=5)),
        ("length", "P1DT6H", timedelta(days=1, hours=6)),
        ("length", "P1M", "P1M"),  # a month has no length of its own
        ("length", 300, 300),
        ("length", "soon", "soon"),
        ("calendar", "P1M", relativedelta(months=1)),
        ("calendar", "5m", "5m"),
        ("span", "P1Y", pendulum.Duration(years=1)),
        ("span", "1h", pendulum.Duration(hours=1)),
        ("moment", "2026-01-01", datetime(2026, 1, 1)),
        ("moment", date(2026, 1, 1), datetime(2026, 1, 1)),
        ("moment", "soon", "soon"),
        ("day", "2026-01-01", date(2026, 1, 1)),
        ("day", datetime(2026, 1, 1, 3), datetime(2026, 1, 1, 3)),
        ("here", "2026-01-01", pendulum.datetime(2026, 1, 1)),
        ("number", "5m", "5m"),
    ],
)
def test_a_value_becomes_what_the_parameter_is(name: str, given: Any, expected: Any) -> None:
    made = coerced({name: given}, Taking)[name]
    assert (type(made), made) == (type(expected), expected)


def test_arguments_that_a_class_passes_on_are_read_where_that_is_asked_for() -> None:
    given = {"length": "5m", "day": "2026-01-01"}
    assert coerced(given, Passing) == given
    assert coerced(given, Passing, inherited=True) == {"length": timedelta(minutes=5), "day": "2026-01-01"}


def test_a_sensor_takes_its_interval_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("""dag_id: x
tasks:
  - id: a
    uses: airflow.providers.standard.sensors.date_time.DateTimeSensor
    with: {target_time: 2026-01-01T00:00:00, poke_interval: 5m, timeout: 2h}
""")
    sensor: Any = load_dags(tmp_path, Settings())["x"].task_dict["a"]
    assert (sensor.poke_interval, sensor.timeout) == (300, 7200)
