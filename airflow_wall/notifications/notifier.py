"""Callbacks of a DAG, its tasks and its deadlines, which send notifications with Airflow's notifiers."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.configuration import conf
from airflow.sdk import BaseNotifier, literal

from airflow_wall.notifications.message import MAX_ERRORS, Notice, failed, one_line, page_of

Arguments = Mapping[str, Any]
"""
Arguments of a notifier as JSON.

`{"$t": text}` is rendered as a template when it is sent, `{"$const": value}` is exactly its value, and everything else
is literal.
"""


class Notification:
    """
    A callback of a DAG or a task that sends one notification.

    The notifier is created when it is sent. So its provider is not imported each time the pipeline is parsed, and
    rendering, which changes a notifier permanently, affects only one message.

    :param event: `failure`, `success` or `retry`.
    :param uses: Dotted path of the notifier.
    :param arguments: Arguments of the notifier.
    :param environment: The active environment.
    """

    def __init__(self, event: str, uses: str, arguments: Arguments, environment: str | None = None) -> None:
        self.event = event
        self.uses = uses
        self.arguments = arguments
        self.environment = environment

    def __call__(self, context: Any) -> None:
        """Send the notification. Airflow logs the errors of the notifier."""
        notice = _notice(self.event, context, self.environment)
        make_notifier(self.uses, self.arguments)({**context, "notice": notice})


ERROR_KEY = "airflow_wall_error"
"""Key of the XCom with the error of a failed task."""


def record_error(context: Any) -> None:
    """
    Keep the error of a failed task for the notification of its run: a callback of the task.

    The callback of the run is called by the DAG processor, which knows no errors of tasks.
    """
    error, ti = context.get("exception"), context.get("ti")
    if ti is not None and isinstance(error, BaseException):
        ti.xcom_push(key=ERROR_KEY, value=one_line(error))


def make_notifier(uses: str, arguments: Arguments) -> BaseNotifier:
    """
    Return a notifier that renders only the marked arguments.

    :raises TypeError: it does not accept these arguments, or `uses` is not a notifier.
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
    Send notifications about a missed deadline. It runs in the triggerer, which imports it by name.

    :param notices: Notifications, each with `uses` and `arguments`.
    :param context: The run and the time of the deadline, as Airflow passes them.
    :raises Exception: the error of the first notifier that failed, after all were tried.
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
    results = await asyncio.gather(*(_send(item, {"notice": notice}) for item in notices), return_exceptions=True)
    error = next((result for result in results if isinstance(result, BaseException)), None)
    if error is not None:
        raise error


async def _send(notice: dict[str, Any], context: Any) -> None:
    notifier = make_notifier(notice["uses"], notice["arguments"])
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
    return Notice(
        event,
        dag_id,
        run_id,
        url,
        task_id,
        tasks,
        reason=one_line(reason) if reason and event != "success" else None,
        environment=environment,
        withheld=_withheld(context) if event == "success" else (),
        errors=_errors(context, tasks[:MAX_ERRORS]),
        logical_date=_logical_date(context),
    )


def _errors(context: Any, tasks: Sequence[str]) -> dict[str, str]:
    """Return the recorded errors of tasks. A mapped task has the error of its first instance that failed."""
    ti = context.get("ti")
    errors = {}
    for task in tasks if ti is not None else ():
        try:
            value = ti.xcom_pull(task_ids=task, key=ERROR_KEY)
        except Exception:
            ti.log.exception("cannot read the error of task %s; the notification is sent without it", task)
            continue
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if (text := next((item for item in values if isinstance(item, str)), None)) is not None:
            errors[task] = text
    return errors


def _logical_date(context: Any) -> str | None:
    date = getattr(context.get("dag_run"), "logical_date", None)
    return date.isoformat() if date is not None else None


def _withheld(context: Any) -> tuple[Mapping[str, str], ...]:
    """Return the slices that the releases of the run leave out, from the results of the tasks that commit them."""
    ti = context.get("ti")
    tasks = getattr(context["dag"], "task_dict", {})
    names = [name for name, task in tasks.items() if getattr(task, "commits_release", False)]
    if ti is None or not names:
        return ()
    try:
        results = [ti.xcom_pull(task_ids=name) for name in names]
    except Exception:
        ti.log.exception("cannot read which slices are withheld; the notification is sent without them")
        return ()
    parts = [part for result in results if isinstance(result, dict) for part in result.get("parts", {}).values()]
    found = {(item["table"], item["slice"]): item for part in parts for item in part.get("withheld", ())}
    return tuple(found[key] for key in sorted(found))


def _failed_tasks(context: Any, dag_id: str, run_id: str) -> tuple[str, ...]:
    ti = context.get("ti")
    if ti is None:  # Airflow passes no task instance if the run has no tasks left
        return ()
    try:
        states = ti.get_task_states(dag_id=dag_id, run_ids=[run_id])
    except Exception:
        ti.log.exception("cannot read which tasks failed; the notification is sent without them")
        return ()
    return failed(states.get(run_id, {}))


def _is_marked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$const" not in value and ("$t" in value or any(_is_marked(item) for item in value.values()))
    return isinstance(value, list | tuple) and any(_is_marked(item) for item in value)


def _value(value: Any, *, protect: bool) -> Any:
    # Plain text beside a marked value in the same field must not be rendered.
    if isinstance(value, str):
        return literal(value) if protect else value
    if isinstance(value, Mapping):
        if "$t" in value:
            return value["$t"]
        if "$const" in value:
            return literal(value["$const"]) if protect else value["$const"]
        return {key: _value(item, protect=protect) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, protect=protect) for item in value]
    return value
