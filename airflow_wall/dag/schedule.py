"""Build schedules and assets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias, AssetAll, AssetAny, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.sdk.definitions.asset import BaseAsset
from dateutil.relativedelta import relativedelta

from airflow_wall.dag.callables import faults_of
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.language import assets as spec
from airflow_wall.language.callables import Constructed
from airflow_wall.language.schedule import AssetSchedule
from airflow_wall.planner.plan import Plan
from airflow_wall.text.durations import parse_duration

Construct = Callable[..., Any]
"""Returns the object of a `uses` and `with`. Further arguments are classes that it must be an instance of."""


def built_asset(asset: spec.AssetCondition, construct: Construct) -> BaseAsset:
    """Return the asset, alias or condition of the YAML; `construct` creates the triggers of watchers."""
    if isinstance(asset, str):
        return Asset(asset)
    if isinstance(asset, spec.AssetAlias):
        return AssetAlias(asset.alias) if asset.group is None else AssetAlias(asset.alias, group=asset.group)
    if isinstance(asset, spec.AllOf):
        return AssetAll(*(built_asset(item, construct) for item in asset.and_))
    if isinstance(asset, spec.AnyOf):
        return AssetAny(*(built_asset(item, construct) for item in asset.or_))
    watchers = [AssetWatcher(watcher.name, construct(watcher.trigger)) for watcher in asset.watchers]
    arguments = {name: getattr(asset, name) for name in ("name", "uri", "group", "extra")}
    return Asset(**{name: value for name, value in arguments.items() if value is not None}, watchers=watchers)


def built_schedule(plan: Plan, construct: Construct) -> Any:
    """
    Return the `schedule` argument of `DAG`; `construct` creates objects that the YAML names by `uses`.

    :raises FaultyText: such an object cannot be created.
    """
    schedule = plan.arguments.get("schedule")
    if isinstance(schedule, Constructed):
        from airflow.timetables.base import Timetable  # imports Airflow's core, which most files do not need

        try:
            return construct(schedule, Timetable, BaseTimetable, BaseAsset, timedelta, relativedelta)
        except Exception as error:
            raise FaultyText(faults_of(error, plan, ("schedule",), "cannot be made"), plan.text) from error
    if plan.is_native:
        return schedule
    if isinstance(schedule, AssetSchedule):
        return _assets(schedule, plan.timezone, construct)
    if schedule is None:
        return None
    duration = parse_duration(schedule)
    return _cron(schedule, plan) if duration is None else duration


def _cron(schedule: str, plan: Plan) -> str | CronTriggerTimetable:
    """Return the schedule, with its time zone unless Airflow can take the zone from a start date."""
    if schedule in ("@once", "@continuous") or "start_date" in plan.arguments or plan.timezone == "UTC":
        return schedule
    return CronTriggerTimetable(schedule, timezone=plan.timezone)


def _assets(schedule: AssetSchedule, zone: str, construct: Construct) -> Any:
    assets = [built_asset(asset, construct) for asset in schedule.assets]
    condition = assets[0] if len(assets) == 1 else AssetAll(*assets)
    if schedule.cron is None:
        return condition
    return AssetOrTimeSchedule(assets=condition, timetable=CronTriggerTimetable(schedule.cron, timezone=zone))
