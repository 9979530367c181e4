"""Check the head of a pipeline beyond the types of its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from airflow_wall.language.callables import Constructed
from airflow_wall.language.deadline import Deadline
from airflow_wall.language.pipeline import Head
from airflow_wall.loader.faults import Faults
from airflow_wall.loader.params import check_params
from airflow_wall.loader.schedule import check_schedule

_TOGETHER = ("notify", "deadline")
"""Keys that are valid only together: each may complete the other."""


def valid_part(values: Mapping[str, Any]) -> Head | None:
    """Return the head without its faulty keys, so that the other keys can still be checked; None if that fails too."""
    keys = {info.alias or name for name, info in Head.model_fields.items()}
    values = {key: value for key, value in values.items() if key in keys}
    try:
        return Head.model_validate(values)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
    if not wrong.isdisjoint(_TOGETHER):
        wrong.update(_TOGETHER)
    try:
        return Head.model_validate(
            {"dag_id": "unknown", **{key: value for key, value in values.items() if key not in wrong}}
        )
    except ValidationError:
        return None


def check_head(head: Head, faults: Faults) -> None:
    """Note the faults of a pipeline's head beyond the types of its keys."""
    if head.schedule is not None and not isinstance(head.schedule, Constructed):
        check_schedule(head.schedule, faults)
    if head.params:
        check_params(head.params, scheduled=head.schedule is not None, faults=faults)
    _check_deadlines(head, faults)


def _check_deadlines(head: Head, faults: Faults) -> None:
    is_notified = head.notify is not None and head.notify.deadline
    for index, deadline in enumerate(head.deadline or ()):
        if deadline.callback is None and not is_notified:
            message = "has no callback and no notification for when it is missed"
            faults.add(("deadline", index), message, "add `notify: {deadline: ...}`, or a `callback`")
    if is_notified and not _uses_notify(head.deadline or ()):
        hint = "add e.g. `deadline: {interval: 2h}`"
        faults.add(("notify", "deadline"), "is never sent: no `deadline` is without `callback`", hint, of_key=True)


def _uses_notify(deadlines: Iterable[Deadline]) -> bool:
    return any(deadline.callback is None for deadline in deadlines)
