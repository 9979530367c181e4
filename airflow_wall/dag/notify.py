"""Turn the `notify` block into callbacks of a DAG, its tasks and its deadlines."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.errors import WallError
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
    return list(_notices(plan, event))


def _notices(plan: Plan, event: str) -> Iterator[dict[str, Any]]:
    entries = plan.notify.by_event().get(event, []) if plan.notify else []
    for index, notice in enumerate(entries):
        loc: Loc = ("notify", event, index)
        channel = notice.channel()
        if channel is not None:
            if _missing(channel.uses):
                hint = f"install `{channel.package}` where DAGs are parsed, and for a deadline where triggers run"
                fault = plan.places.fault(loc, f"needs the package `{channel.package}`, which is not installed", hint)
                raise FaultyText([fault], plan.text)
            yield {"uses": channel.uses, "arguments": as_json(channel.arguments(event))}
        else:
            yield _general(plan, notice, loc)


def _general(plan: Plan, notice: NoticeBy, loc: Loc) -> dict[str, Any]:
    arguments = as_json(notice.with_)
    try:
        make_notifier(str(notice.uses), arguments)
    except Exception as error:
        reason = (error.message if isinstance(error, WallError) else str(error)).partition("\n")[0]
        hint = "check the spelling of `uses`, that its package is installed, and its arguments"
        raise FaultyText([plan.places.fault(loc, f"cannot be made: {reason}", hint)], plan.text) from error
    return {"uses": str(notice.uses), "arguments": arguments}


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
