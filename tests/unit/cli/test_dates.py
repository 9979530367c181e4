"""Which dates `--date`, `--from` and `--to` mean."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import typer
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.cli.dates import DateRange, parse_date, parse_range, shown, slots
from airflow_wall.errors import WallError

ZONE = "America/New_York"


def stored(schedule: Any) -> Any:
    """A DAG as it comes from the metadata database."""
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    dag = DAG("nightly", schedule=schedule, start_date=start, max_active_runs=1)
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def dates(schedule: Any, first: str, last: str | None) -> list[str]:
    wanted = parse_range(first, last, "UTC", date=None)
    assert wanted is not None
    return [shown(slot.logical_date) for slot in slots(stored(schedule), wanted)]


def test_both_ends_are_included() -> None:
    assert dates("0 3 * * *", "2013-07-01", "2013-07-03") == [
        "2013-07-01T03:00+00:00",
        "2013-07-02T03:00+00:00",
        "2013-07-03T03:00+00:00",
    ]
    assert dates("0 3 * * *", "2013-07-01T03:00", "2013-07-02T03:00") == [
        "2013-07-01T03:00+00:00",
        "2013-07-02T03:00+00:00",
    ]


def test_a_day_means_all_of_it_in_the_time_zone_of_the_pipeline() -> None:
    wanted = parse_range("2013-07-01", "2013-07-01", ZONE, date=None)
    assert wanted is not None
    assert wanted.last is not None
    assert (wanted.first.isoformat(), wanted.last.isoformat()) == (
        "2013-07-01T00:00:00-04:00",
        "2013-07-01T23:59:59.999999-04:00",
    )
    assert len(dates("@hourly", "2013-07-01", "2013-07-01")) == 24


def test_without_an_end_the_range_ends_with_the_last_date_that_is_due() -> None:
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
    found = slots(stored("@hourly"), DateRange(begin, None))
    assert 2 <= len(found) <= 4
    assert found[-1].logical_date <= dt.datetime.now(dt.UTC)
    # The same where the range names a later end.
    later = DateRange(begin, begin + dt.timedelta(days=9))
    assert [slot.logical_date for slot in slots(stored("@hourly"), later)] == [slot.logical_date for slot in found]


@pytest.mark.parametrize("schedule", [None, "@once", "@continuous"])
def test_a_range_needs_a_schedule_by_time(schedule: Any) -> None:
    with pytest.raises(WallError, match="`--from` and `--to` need a schedule by time; that of `nightly` is "):
        dates(schedule, "2013-07-01", "2013-07-03")


def test_a_range_without_a_date_is_an_error() -> None:
    with pytest.raises(WallError) as caught:
        dates("0 3 * * 1", "2013-07-02", "2013-07-03")
    assert str(caught.value) == (
        "the schedule of `nightly`, `0 3 * * 1`, has no date that is due between 2013-07-02 00:00 and 2013-07-03 23:59"
        "\n\nhint: widen the range, or run one date: `--date 2013-07-01`"
    )


def test_what_cannot_be_a_range_is_refused() -> None:
    with pytest.raises(WallError, match=r"`--to` must not be before `--from`, got `2013-07-01` and `2013-07-02`"):
        parse_range("2013-07-02", "2013-07-01", ZONE, date=None)
    with pytest.raises(WallError, match=r"`--from` must be a date, got `yesterday`"):
        parse_range("yesterday", None, ZONE, date=None)
    with pytest.raises(typer.BadParameter, match="use one or the other"):
        parse_range("2013-07-01", None, ZONE, date="2013-07-01")
    with pytest.raises(typer.BadParameter, match="it needs `--from`"):
        parse_range(None, "2013-07-01", ZONE, date=None)
    assert parse_range(None, None, ZONE, date="2013-07-01") is None


def test_one_date_is_a_moment_in_the_time_zone_of_the_pipeline() -> None:
    found = parse_date("2013-07-01", ZONE)
    assert found is not None
    assert found.isoformat() == "2013-07-01T00:00:00-04:00"
    assert parse_date("2013-07-01T03:00+02:00", ZONE) == dt.datetime(2013, 7, 1, 1, tzinfo=dt.UTC)
    assert parse_date(None, ZONE) is None
