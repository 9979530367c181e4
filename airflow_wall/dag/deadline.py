"""Build Airflow's deadlines from those of the YAML."""

from __future__ import annotations

import importlib
import inspect
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import airflow
from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback, SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from airflow_wall.dag.notify import as_json, notices
from airflow_wall.dag.schedule import Construct
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.errors import WallError
from airflow_wall.language.callables import Constructed
from airflow_wall.language.deadline import AverageRuntime, Deadline, FixedDatetime, VariableSeconds
from airflow_wall.notifications.notifier import make_notifier, missed
from airflow_wall.planner.plan import Plan


def built_deadlines(plan: Plan, construct: Construct) -> list[DeadlineAlert]:
    """
    Return the deadlines of a pipeline; `construct` creates references that the YAML names by `uses`.

    :raises FaultyText: a deadline cannot be created; names it and its position.
    """
    alerts = []
    for index, deadline in enumerate(plan.deadline):
        try:
            alerts.append(_alert(plan, deadline, construct))
        except FaultyText:
            raise
        except Exception as error:
            reason = (error.message if isinstance(error, WallError) else str(error)).partition("\n")[0]
            hint = error.hint if isinstance(error, WallError) else None
            fault = plan.places.fault(("deadline", index), f"cannot be made: {reason}", hint)
            raise FaultyText([fault], plan.text) from error
    return alerts


def _alert(plan: Plan, deadline: Deadline, construct: Construct) -> DeadlineAlert:
    own: dict[str, Any] = {} if deadline.name is None else {"name": deadline.name}
    if own and "name" not in inspect.signature(DeadlineAlert).parameters:
        raise _too_old("name", "remove it")
    callback = _notification(plan) if deadline.callback is None else _callback(deadline.callback, plan.environment)
    return DeadlineAlert(_reference(deadline, plan, construct), _interval(deadline), callback, **own)


def _reference(deadline: Deadline, plan: Plan, construct: Construct) -> Any:
    reference = deadline.reference
    if isinstance(reference, AverageRuntime):
        average = reference.average_runtime
        return DeadlineReference.AVERAGE_RUNTIME(average.max_runs, average.min_runs or average.max_runs)
    if isinstance(reference, FixedDatetime):
        return DeadlineReference.FIXED_DATETIME(_in_zone(reference.fixed_datetime, plan.timezone))
    if isinstance(reference, Constructed):
        return construct(reference)
    return getattr(DeadlineReference, reference.upper())


def _in_zone(moment: datetime, zone: str) -> datetime:
    return moment.replace(tzinfo=ZoneInfo(zone)) if moment.tzinfo is None else moment


def _interval(deadline: Deadline) -> Any:
    if isinstance(deadline.interval, timedelta):
        return deadline.interval
    assert isinstance(deadline.interval, VariableSeconds)
    definitions = importlib.import_module("airflow.sdk.definitions.deadline")
    if not hasattr(definitions, "VariableInterval"):
        raise _too_old("interval: {variable: ...}", "write the duration")
    return definitions.VariableInterval(deadline.interval.variable)


def _too_old(what: str, hint: str) -> WallError:
    return WallError(f"`{what}` needs Airflow 3.3; this is {airflow.__version__}", hint=f"{hint}, or upgrade Airflow")


def _notification(plan: Plan) -> AsyncCallback:
    return AsyncCallback(missed, {"notices": notices(plan, "deadline"), "environment": plan.environment})


def _callback(spec: Constructed, environment: str | None) -> AsyncCallback | SyncCallback:
    """Return the callback: notifiers and coroutines run in the triggerer, plain functions in the executor."""
    module, _, name = spec.uses.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    arguments = as_json(spec.with_)
    if isinstance(function, type) and issubclass(function, BaseNotifier):
        make_notifier(spec.uses, arguments)
        notice = {"uses": spec.uses, "arguments": arguments}
        return AsyncCallback(missed, {"notices": [notice], "environment": environment})
    if not callable(function):
        raise WallError(f"`{spec.uses}` cannot be called", hint="name a notifier or a function")
    kind = AsyncCallback if inspect.iscoroutinefunction(function) else SyncCallback
    return kind(spec.uses, arguments)
