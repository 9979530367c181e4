"""Schedules as Airflow knows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetAll, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.sdk.definitions.asset import BaseAsset
from dateutil.relativedelta import relativedelta

from airflow_wall.compiler.assets import Construct, built_asset
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.signatures import first_line
from airflow_wall.errors import WallError
from airflow_wall.spec.callables import Constructed
from airflow_wall.spec.schedule import AssetSchedule
from airflow_wall.text.durations import parse_duration
from airflow_wall.text.faults import FaultyText


def built_schedule(plan: Plan, construct: Construct) -> Any:
    """
    What `DAG` takes as `schedule`; `construct` makes objects that the YAML names by `uses`.

    :raises FaultyText: such an object cannot be made.
    """
    schedule = plan.arguments.get("schedule")
    if isinstance(schedule, Constructed):
        from airflow.timetables.base import Timetable  # of Airflow's core, which most files do not need

        try:
            return construct(schedule, Timetable, BaseTimetable, BaseAsset, timedelta, relativedelta)
        except Exception as error:
            hint = error.hint if isinstance(error, WallError) else None
            fault = plan.places.fault(("schedule",), f"cannot be made: {first_line(error)}", hint)
            raise FaultyText([fault], plan.text) from error
    if plan.is_native:
        return schedule
    if isinstance(schedule, AssetSchedule):
        return _assets(schedule, plan.timezone, construct)
    if schedule is None:
        return None
    duration = parse_duration(schedule)
    return _cron(schedule, plan) if duration is None else duration


def _cron(schedule: str, plan: Plan) -> str | CronTriggerTimetable:
    """Airflow takes the zone of a schedule from the start date; without one it has to be told."""
    if schedule in ("@once", "@continuous") or "start_date" in plan.arguments or plan.timezone == "UTC":
        return schedule
    return CronTriggerTimetable(schedule, timezone=plan.timezone)


def _assets(schedule: AssetSchedule, zone: str, construct: Construct) -> Any:
    found = [built_asset(each, construct) for each in schedule.assets]
    condition = found[0] if len(found) == 1 else AssetAll(*found)
    if schedule.cron is None:
        return condition
    return AssetOrTimeSchedule(assets=condition, timetable=CronTriggerTimetable(schedule.cron, timezone=zone))
