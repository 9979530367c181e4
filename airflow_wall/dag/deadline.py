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

from airflow_wall.dag.callables import faults_of, named
from airflow_wall.dag.notify import as_json, notices
from airflow_wall.dag.schedule import Construct
from airflow_wall.diagnostics.faults import Fault, FaultyText
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
    faults: list[Fault] = []
    for index, deadline in enumerate(plan.deadline):
        try:
            alerts.append(_alert(plan, deadline, construct))
        except _Part as part:
            faults += faults_of(part.error, plan, ("deadline", index, part.key), "cannot be used")
        except Exception as error:
            faults += faults_of(error, plan, ("deadline", index), "cannot be made")
    if faults:
        raise FaultyText(faults, plan.text)
    return alerts


class _Part(Exception):
    """Raised for an error of one key of a deadline."""

    def __init__(self, key: str, error: Exception) -> None:
        super().__init__(key)
        self.key = key
        self.error = error


def _alert(plan: Plan, deadline: Deadline, construct: Construct) -> DeadlineAlert:
    own: dict[str, Any] = {} if deadline.name is None else {"name": deadline.name}
    if own and "name" not in inspect.signature(DeadlineAlert).parameters:
        raise _too_old("name", "remove it")
    try:
        callback = _notification(plan) if deadline.callback is None else _callback(deadline.callback, plan)
    except FaultyText:
        raise
    except Exception as error:
        raise _Part("callback", error) from error
    return DeadlineAlert(_reference(deadline, plan, construct), _interval(deadline), callback, **own)


def _reference(deadline: Deadline, plan: Plan, construct: Construct) -> Any:
    reference = deadline.reference
    if isinstance(reference, AverageRuntime):
        average = reference.average_runtime
        return DeadlineReference.AVERAGE_RUNTIME(average.max_runs, average.min_runs or average.max_runs)
    if isinstance(reference, FixedDatetime):
        return DeadlineReference.FIXED_DATETIME(_in_zone(reference.fixed_datetime, plan.timezone))
    if isinstance(reference, Constructed):
        try:
            return construct(reference)
        except Exception as error:
            raise _Part("reference", error) from error
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


def _callback(spec: Constructed, plan: Plan) -> AsyncCallback | SyncCallback:
    """Return the callback: notifiers and coroutines run in the triggerer, plain functions in the executor."""
    function = named(spec, code=plan.code, passed=("context",))
    arguments = as_json(spec.with_)
    if isinstance(function, type) and issubclass(function, BaseNotifier):
        make_notifier(spec.uses, arguments)
        notice = {"uses": spec.uses, "arguments": arguments}
        return AsyncCallback(missed, {"notices": [notice], "environment": plan.environment})
    if not callable(function):
        raise WallError(f"`{spec.uses}` cannot be called", hint="name a notifier or a function")
    kind = AsyncCallback if inspect.iscoroutinefunction(function) else SyncCallback
    return kind(spec.uses, arguments)
