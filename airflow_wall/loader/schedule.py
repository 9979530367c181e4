"""Check that the text of a schedule is a preset, a duration or a cron expression."""

from __future__ import annotations

import re
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.language.schedule import AssetSchedule
from airflow_wall.loader.faults import Faults
from airflow_wall.text.durations import parse_duration

CRON_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Names of cron expressions."""

PRESETS = ("@once", "@continuous", *CRON_PRESETS)
"""Schedules with a name."""

_PLAIN_CRON = re.compile(
    r"(\*|\d|[1-5]\d) (\*|\d|1\d|2[0-3]) (\*|[1-9]|[12]\d|3[01]) (\*|[1-9]|1[0-2]) (\*|[0-6])", re.ASCII
)
"""The cron expressions of most pipelines: five fields, each a number in its range or `*`."""

_CLOCK = re.compile(r"(\d|[01]\d|2[0-3]):([0-5]\d)(?::00)?", re.ASCII)
"""A time of day."""

_NO_SCHEDULE = frozenset(("none", "null", "@none", "@null", "never", "@never", "manual", "@manual", "off", "disabled"))
"""Words of other tools for a pipeline that runs only when it is started by hand."""

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days of each month."""

_FIVE_FIELDS = "write five fields: minute, hour, day of month, month, day of week, e.g. `0 3 * * *`"
_EVERY = re.compile(r"(?:every|each) +(?:(\d{1,2}) +)?(minute|hour|day|week|month)s?")
"""A schedule in words."""

_DAYS_OF_WEEK = {str(number + 1): str(number) for number in range(7)}
"""Days of the week in Quartz, which counts from 1, to those of cron."""


def check_schedule(schedule: Any, faults: Faults) -> None:
    """Note the faults of a pipeline's schedule beyond its type."""
    if isinstance(schedule, AssetSchedule):
        if schedule.cron is not None:
            _check_cron(schedule.cron, ("schedule", "cron"), CRON_PRESETS, faults)
    elif isinstance(schedule, str) and parse_duration(schedule) is None:
        _check_cron(schedule, ("schedule",), PRESETS, faults)


def check_native_schedule(schedule: str, faults: Faults) -> None:
    """Note the faults of a schedule in Airflow's own format, which has no durations but every name of croniter."""
    if schedule not in PRESETS:
        _check_expression(schedule, ("schedule",), faults, is_native=True)


def _check_cron(schedule: str, loc: Loc, presets: tuple[str, ...], faults: Faults) -> None:
    if schedule in presets:
        return
    if schedule.strip().lower() in _NO_SCHEDULE:
        message = f"must be a preset or a cron expression, got `{schedule}`"
        faults.add(loc, message, "remove `schedule`: without it, runs start only by hand")
        return
    if schedule.startswith("@"):
        faults.add(
            loc,
            f"must be a preset or a cron expression, got `{schedule}`",
            suggestion(schedule, presets, what="presets"),
        )
        return
    _check_expression(schedule, loc, faults)


def _check_expression(schedule: str, loc: Loc, faults: Faults, *, is_native: bool = False) -> None:
    plain = _PLAIN_CRON.fullmatch(schedule)
    if plain is not None:
        day, month = plain[3], plain[4]
        if day.isdecimal() and month.isdecimal() and plain[5] == "*" and int(day) > _DAYS[int(month) - 1]:
            _add_never(schedule, loc, faults)
        return
    if not is_native and len(schedule.split()) in (6, 7):
        _add_too_many_fields(schedule, loc, faults)
        return
    from croniter import croniter  # the parser that Airflow uses, which most files do not need

    try:
        croniter(schedule)
    except ValueError as error:
        why = str(error).removeprefix(f"[{schedule}] ").removeprefix("is not acceptable, ").rstrip(".")
        why = f"it has {_counted(len(schedule.split()))}" if "columns" in why else why
        faults.add(loc, f"must be a preset or a cron expression, got `{schedule}`: {why}", _hint(schedule))
    else:
        if _never_comes(schedule):
            _add_never(schedule, loc, faults)


def _hint(schedule: str) -> str:
    clock = _CLOCK.fullmatch(schedule)
    if clock is not None:
        return f"write `{int(clock[2])} {int(clock[1])} * * *` for every day at this time"
    if f"@{schedule.lower()}" in PRESETS:
        return f"write `'@{schedule.lower()}'`, with the quotes"
    every = _EVERY.fullmatch(schedule.lower())
    if every is not None:
        return f"write `{_of_words(every[1], every[2])}`"
    parts = [part.strip() for part in schedule.split(" , ")]
    if len(parts) > 1 and all(is_cron(part) for part in parts):
        return hint_of_several(parts)
    return _FIVE_FIELDS


def _of_words(count: str | None, unit: str) -> str:
    """Return the schedule that words such as `every 5 minutes` mean."""
    if count is None or int(count) < 2:
        return {"minute": "'* * * * *'", "hour": "'@hourly'", "day": "'@daily'"}.get(unit, f"'@{unit}ly'")
    if unit in ("minute", "hour"):
        return f"'*/{int(count)} * * * *'" if unit == "minute" else f"0 */{int(count)} * * *"
    return f"{int(count) * (7 if unit == 'week' else 30 if unit == 'month' else 1)}d"


def hint_of_several(expressions: list[str]) -> str:
    """Return the hint for several cron expressions of one pipeline."""
    arguments = ", ".join(f"'{expression}'" for expression in expressions)
    return (
        "write `{uses: airflow.timetables.trigger.MultipleCronTriggerTimetable, with: {crons: "
        f"[{arguments}], timezone: UTC}}}}`, or one expression with lists, e.g. `0 3,4 * * *`"
    )


def is_cron(text: str) -> bool:
    """Return True if a text is a cron expression of five fields."""
    from croniter import croniter  # as above

    return len(text.split()) == 5 and bool(croniter.is_valid(text))


def _add_too_many_fields(schedule: str, loc: Loc, faults: Faults) -> None:
    """Note the fault of a cron expression with seconds, which Airflow would read in an order of its own."""
    fields = schedule.split()
    message = f"must be a preset or a cron expression of five fields, got `{schedule}`, which has {len(fields)}"
    is_quartz = len(fields) == 7 or "?" in fields
    seconds, *five = fields[:6]
    if is_quartz and five[4].isdecimal():
        five[4] = _DAYS_OF_WEEK.get(five[4], five[4])
    equivalent = " ".join("*" if field == "?" else field for field in five)
    if not is_cron(equivalent):
        faults.add(loc, message, _FIVE_FIELDS)
    elif seconds.isdecimal():
        faults.add(loc, message, f"write `{equivalent}`, without the seconds at the beginning")
    else:
        hint = f"write `{equivalent}` without the seconds, or a duration for runs within a minute: `schedule: 30s`"
        faults.add(loc, message, hint)


def _add_never(schedule: str, loc: Loc, faults: Faults) -> None:
    message = f"must be a date that comes, got `{schedule}`: no month that it names has that day"
    faults.add(loc, message, "correct the day or the month; `L` as the day is the last day of a month")


def _never_comes(schedule: str) -> bool:
    """Return True if no month of a cron expression has one of its days."""
    from croniter import croniter  # as above

    _, _, days, months, weekdays, *_ = croniter.expand(schedule)[0]
    if days == ["*"] or weekdays != ["*"] or not all(isinstance(day, int) for day in days):
        return False
    within = range(1, 13) if months == ["*"] else months
    return not any(day <= _DAYS[month - 1] for day in days for month in within)


def _counted(fields: int) -> str:
    return f"{fields} field{'' if fields == 1 else 's'}"
