"""Deadlines as Airflow knows them."""

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

from airflow_wall.compiler.assets import Construct
from airflow_wall.compiler.notify import as_json, notices
from airflow_wall.compiler.plan import Plan
from airflow_wall.errors import WallError
from airflow_wall.notifications.notifier import missed, prepared
from airflow_wall.spec.callables import Constructed
from airflow_wall.spec.deadline import AverageRuntime, Deadline, FixedDatetime, VariableSeconds
from airflow_wall.text.faults import FaultyText


def built_deadlines(plan: Plan, construct: Construct) -> list[DeadlineAlert]:
    """
    The deadlines of a pipeline; `construct` makes references that the YAML names by `uses`.

    :raises FaultyText: one cannot be made; says which, where.
    """
    found = []
    for index, deadline in enumerate(plan.deadline):
        try:
            found.append(_alert(plan, deadline, construct))
        except FaultyText:
            raise
        except Exception as error:
            said = (error.message if isinstance(error, WallError) else str(error)).partition("\n")[0]
            hint = error.hint if isinstance(error, WallError) else None
            fault = plan.places.fault(("deadline", index), f"cannot be made: {said}", hint)
            raise FaultyText([fault], plan.text) from error
    return found


def _alert(plan: Plan, deadline: Deadline, construct: Construct) -> DeadlineAlert:
    own: dict[str, Any] = {} if deadline.name is None else {"name": deadline.name}
    if own and "name" not in inspect.signature(DeadlineAlert).parameters:
        raise _too_old("name", "remove it")
    callback = _told(plan) if deadline.callback is None else _callback(deadline.callback, plan.environment)
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


def _told(plan: Plan) -> AsyncCallback:
    return AsyncCallback(missed, {"notices": notices(plan, "deadline"), "environment": plan.environment})


def _callback(spec: Constructed, environment: str | None) -> AsyncCallback | SyncCallback:
    """A notifier and a coroutine run in the triggerer, a plain function in the executor."""
    module, _, name = spec.uses.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    arguments = as_json(spec.with_)
    if isinstance(found, type) and issubclass(found, BaseNotifier):
        prepared(spec.uses, arguments)
        notice = {"uses": spec.uses, "arguments": arguments}
        return AsyncCallback(missed, {"notices": [notice], "environment": environment})
    if not callable(found):
        raise WallError(f"`{spec.uses}` cannot be called", hint="name a notifier or a function")
    kind = AsyncCallback if inspect.iscoroutinefunction(found) else SyncCallback
    return kind(spec.uses, arguments)
