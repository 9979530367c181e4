"""Tell people by the notifiers of Airflow's providers: the callbacks of a DAG, of its tasks and of its deadlines."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

from airflow.configuration import conf
from airflow.sdk import BaseNotifier, literal

from airflow_wall.notifications.message import Notice, failed, page_of

Arguments = Mapping[str, Any]
"""Arguments of a notifier as JSON: `{"$t": text}` is filled in when it is sent, `{"$const": value}` is its value to the
letter, everything else is literal."""


class Notification:
    """
    A callback of a DAG or a task that sends one notification.

    The notifier is made when it is sent: its provider need not be imported each time the pipeline is parsed, and
    filling in a notifier changes it for good.

    :param event: `failure`, `success` or `retry`.
    :param uses: The notifier, by its dotted path.
    :param arguments: What it is given.
    :param environment: The environment in force.
    """

    def __init__(self, event: str, uses: str, arguments: Arguments, environment: str | None = None) -> None:
        self.event = event
        self.uses = uses
        self.arguments = arguments
        self.environment = environment

    def __call__(self, context: Any) -> None:
        """Send it; what the notifier raises is Airflow's to log."""
        notice = _notice(self.event, context, self.environment)
        prepared(self.uses, self.arguments)({**context, "notice": notice})


def prepared(uses: str, arguments: Arguments) -> BaseNotifier:
    """
    Make a notifier that fills in only what is marked.

    :raises TypeError: it takes no such arguments, or `uses` is no notifier.
    """
    module, _, name = uses.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, BaseNotifier)):
        raise TypeError(f"`{uses}` is not a notifier")
    rendered = [name for name, value in arguments.items() if _is_marked(value)]
    notifier = kind(**{name: _value(value, protect=name in rendered) for name, value in arguments.items()})
    unknown = [name for name in rendered if name not in notifier.template_fields]
    if unknown:
        raise TypeError(f"`{unknown[0]}` of `{uses}` cannot hold a marker")
    notifier.template_fields = [name for name in notifier.template_fields if name in rendered]
    return notifier


async def missed(notices: list[dict[str, Any]], environment: str | None = None, context: Any = None) -> None:
    """
    Send notifications that a deadline was missed. Runs in the triggerer, which imports it by name.

    :param notices: Each with `uses` and `arguments`.
    :param context: What Airflow tells of the deadline: the run and the time.
    :raises Exception: what the first notifier that failed raised, after all were tried.
    """
    run = (context or {}).get("dag_run", {})
    dag_id, run_id = str(run.get("dag_id")), str(run.get("dag_run_id") or run.get("run_id"))
    due = (context or {}).get("deadline", {}).get("deadline_time")
    notice = Notice(
        "deadline",
        dag_id,
        run_id,
        page_of(conf.get("api", "base_url", fallback=""), dag_id, run_id),
        reason=f"it was due at {due}" if due else None,
        environment=environment,
    )
    told = await asyncio.gather(*(_send(each, {"notice": notice}) for each in notices), return_exceptions=True)
    wrong = next((each for each in told if isinstance(each, BaseException)), None)
    if wrong is not None:
        raise wrong


async def _send(notice: dict[str, Any], context: Any) -> None:
    notifier = prepared(notice["uses"], notice["arguments"])
    if type(notifier).async_notify is BaseNotifier.async_notify:
        await asyncio.to_thread(notifier, context)
    else:
        notifier.context = context
        await notifier


def _notice(event: str, context: Any, environment: str | None) -> Notice:
    dag_id, run_id = context["dag"].dag_id, str(context["run_id"])
    task_id = context["ti"].task_id if event == "retry" else None
    url = page_of(conf.get("api", "base_url", fallback=""), dag_id, run_id, task_id)
    reason = context.get("exception") if event == "retry" else context.get("reason")
    tasks = _failed_tasks(context, dag_id, run_id) if event == "failure" else ()
    shown = " ".join(str(reason).split())[:500] if reason and event != "success" else None
    return Notice(event, dag_id, run_id, url, task_id, tasks, shown, environment)


def _failed_tasks(context: Any, dag_id: str, run_id: str) -> tuple[str, ...]:
    ti = context.get("ti")
    if ti is None:  # the run has no task left that Airflow could tell of
        return ()
    try:
        states = ti.get_task_states(dag_id=dag_id, run_ids=[run_id])
    except Exception:
        ti.log.exception("cannot ask which tasks failed; the notification goes without them")
        return ()
    return failed(states.get(run_id, {}))


def _is_marked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$const" not in value and ("$t" in value or any(_is_marked(each) for each in value.values()))
    return isinstance(value, list | tuple) and any(_is_marked(each) for each in value)


def _value(value: Any, *, protect: bool) -> Any:
    # Beside a marked value in the same field, a plain text must not be filled in with it.
    if isinstance(value, str):
        return literal(value) if protect else value
    if isinstance(value, Mapping):
        if "$t" in value:
            return value["$t"]
        if "$const" in value:
            return literal(value["$const"]) if protect else value["$const"]
        return {key: _value(each, protect=protect) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each, protect=protect) for each in value]
    return value
