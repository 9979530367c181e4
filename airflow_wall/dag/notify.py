"""Turn the `notify` block into callbacks of a DAG, its tasks and its deadlines."""

from __future__ import annotations

import importlib.util
from typing import Any

from airflow.sdk import BaseNotifier

from airflow_wall.dag.callables import faults_of, named
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.language.callables import Constructed
from airflow_wall.language.markers import Const, Template
from airflow_wall.language.notify import NoticeBy
from airflow_wall.notifications.notifier import Notification, make_notifier
from airflow_wall.planner.plan import Plan


def notifications(plan: Plan, event: str) -> list[Notification]:
    """
    Return the notifications for `failure`, `success` or `retry`.

    :raises FaultyText: a provider is not installed, or a notifier rejects its arguments; names it and its position.
    """
    return [
        Notification(event, notice["uses"], notice["arguments"], plan.environment) for notice in notices(plan, event)
    ]


def notices(plan: Plan, event: str) -> list[dict[str, Any]]:
    """Return the same as JSON: `uses` and `arguments` of each notifier."""
    entries = plan.notify.by_event().get(event, []) if plan.notify else []
    made: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for index, notice in enumerate(entries):
        try:
            made.append(_notice(plan, notice, event, ("notify", event, index)))
        except Exception as error:
            faults += faults_of(error, plan, ("notify", event, index), "cannot be made")
    if faults:
        raise FaultyText(faults, plan.text)
    return made


def _notice(plan: Plan, notice: NoticeBy, event: str, loc: Loc) -> dict[str, Any]:
    channel = notice.channel()
    if channel is None:
        spec = Constructed.model_construct(uses=str(notice.uses), with_=notice.with_)
        named(spec, BaseNotifier, code=plan.code)
        arguments = as_json(notice.with_)
        make_notifier(spec.uses, arguments)
        return {"uses": spec.uses, "arguments": arguments}
    if _missing(channel.uses):
        hint = f"install `{channel.package}` where DAGs are parsed, and for a deadline where triggers run"
        fault = plan.places.fault(loc, f"needs the package `{channel.package}`, which is not installed", hint)
        raise FaultyText([fault], plan.text)
    return {"uses": channel.uses, "arguments": as_json(channel.arguments(event))}


def _missing(uses: str) -> bool:
    module = uses.rpartition(".")[0]
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


def as_json(value: Any) -> Any:
    """Return a value with its markers as mappings, so that it can be stored and sent."""
    if isinstance(value, Template):
        return {"$t": value.text}
    if isinstance(value, Const):
        return {"$const": value.value}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value
