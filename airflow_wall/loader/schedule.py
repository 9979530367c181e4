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
        _check_expression(schedule, ("schedule",), faults)


def _check_cron(schedule: str, loc: Loc, presets: tuple[str, ...], faults: Faults) -> None:
    if schedule in presets:
        return
    if schedule.startswith("@"):
        faults.add(
            loc,
            f"must be a preset or a cron expression, got `{schedule}`",
            suggestion(schedule, presets, what="presets"),
        )
        return
    _check_expression(schedule, loc, faults)


def _check_expression(schedule: str, loc: Loc, faults: Faults) -> None:
    if _PLAIN_CRON.fullmatch(schedule):
        return
    from croniter import croniter  # the parser that Airflow uses, which most files do not need

    try:
        croniter(schedule)
    except ValueError as error:
        why = str(error).removeprefix(f"[{schedule}] ").removeprefix("is not acceptable, ").rstrip(".")
        if "columns" in why:
            why = f"it has {_counted(len(schedule.split()))}"
        hint = "write five fields: minute, hour, day of month, month, day of week, e.g. `0 3 * * *`"
        clock = _CLOCK.fullmatch(schedule)
        if f"@{schedule.lower()}" in PRESETS:
            hint = f"write `'@{schedule.lower()}'`, with the quotes"
        if clock is not None:
            hint = f"write `{int(clock[2])} {int(clock[1])} * * *` for every day at this time"
        faults.add(loc, f"must be a preset or a cron expression, got `{schedule}`: {why}", hint)


def _counted(fields: int) -> str:
    return f"{fields} field{'' if fields == 1 else 's'}"
