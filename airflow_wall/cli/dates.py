"""The logical dates that `airflow-wall run` runs: that of `--date`, or those of the schedule in a range."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

from airflow_wall.errors import WallError

if TYPE_CHECKING:
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.timetables.base import DataInterval

_END_OF_DAY = dt.time(23, 59, 59, 999_999)


@dataclass(frozen=True)
class DateRange:
    """
    A range of logical dates.

    :param first: The earliest logical date.
    :param last: The latest logical date; None for the last one that is due now.
    :param to: The value of `--to`, as the user wrote it.
    """

    first: dt.datetime
    last: dt.datetime | None
    to: str | None = None


@dataclass(frozen=True)
class Slot:
    """
    One date of a schedule.

    :param logical_date: Logical date of its run, in the time zone of the range.
    :param interval: Its data interval in the schedule.
    """

    logical_date: dt.datetime
    interval: DataInterval


def parse_date(text: str | None, zone: str, *, option: str = "--date", end_of_day: bool = False) -> dt.datetime | None:
    """
    Return the datetime of an option, in the pipeline's time zone unless the text has one; None for None.

    :param end_of_day: True if a day without a time means its last microsecond.
    :raises WallError: the text is not a date.
    """
    if text is None:
        return None
    try:
        date = dt.datetime.fromisoformat(text)
    except ValueError:
        raise WallError(
            f"`{option}` must be a date, got `{text}`",
            hint=f"write e.g. `{option} 2013-07-01` or `{option} 2013-07-01T03:00`",
        ) from None
    if end_of_day and _is_day(text):
        date = dt.datetime.combine(date, _END_OF_DAY)
    return date if date.tzinfo else date.replace(tzinfo=ZoneInfo(zone))


def parse_range(first: str | None, last: str | None, zone: str, *, date: str | None) -> DateRange | None:
    """
    Return the range of `--from` and `--to`, or None if neither is set.

    :param date: The value of `--date`, which excludes both.
    :raises typer.BadParameter: the options conflict, or `--from` is missing.
    :raises WallError: one of them is not a date, or the range ends before it begins.
    """
    if first is None and last is None:
        return None
    if date is not None:
        raise typer.BadParameter(
            "it names one date, `--from` and `--to` several: use one or the other", param_hint="--date"
        )
    if first is None:
        raise typer.BadParameter("it needs `--from`, the first date of the range", param_hint="--to")
    begin = parse_date(first, zone, option="--from")
    end = parse_date(last, zone, option="--to", end_of_day=True)
    assert begin is not None
    if end is not None and end < begin:
        raise WallError(f"`--to` must not be before `--from`, got `{last}` and `{first}`", hint="swap them")
    return DateRange(begin, end, last)


def slots(dag: SerializedDAG, date_range: DateRange) -> list[Slot]:
    """
    Return the dates of a DAG's schedule that are in the range and due, the earliest first.

    :raises WallError: the DAG has no schedule by time, or none of its dates is in the range.
    """
    timetable = dag.timetable
    if not (timetable.periodic and timetable.can_be_scheduled) or timetable.partitioned:
        raise WallError(
            f"`--from` and `--to` need a schedule by time; that of `{dag.dag_id}` is `{timetable.summary}`",
            hint="run one date: `--date 2013-07-01`",
        )
    now, zone = dt.datetime.now(dt.UTC), date_range.first.tzinfo
    infos = dag.iter_dagrun_infos_between(date_range.first, min(date_range.last or now, now))
    due_slots = [
        Slot(info.logical_date.astimezone(zone), info.data_interval)
        for info in infos
        if info.logical_date is not None and info.data_interval is not None and info.run_after <= now
    ]
    if not due_slots:
        end = "now" if date_range.last is None else f"{date_range.last:%Y-%m-%d %H:%M}"
        raise WallError(
            f"the schedule of `{dag.dag_id}`, `{timetable.summary}`, has no date that is due between "
            f"{date_range.first:%Y-%m-%d %H:%M} and {end}",
            hint="widen the range, or run one date: `--date 2013-07-01`",
        )
    return due_slots


def shown(date: dt.datetime) -> str:
    """Return a logical date as `--date` takes it."""
    return date.isoformat(timespec="minutes")


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
