"""What the types of a pipeline's head cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from airflow_wall.loader.faults import Faults
from airflow_wall.loader.params import check_params
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.schedule import check_schedule
from airflow_wall.spec.callables import Constructed
from airflow_wall.spec.deadline import Deadline
from airflow_wall.spec.notify import Channel, NoticeBy
from airflow_wall.spec.pipeline import Head
from airflow_wall.text.faults import Loc

_TOGETHER = ("notify", "deadline")
"""Keys of which one says what the other lacks."""


def sound_part(values: Mapping[str, Any]) -> Head | None:
    """The head without the keys that are at fault, so that what else is wrong with the others is told too."""
    known = {info.alias or name for name, info in Head.model_fields.items()}
    values = {key: value for key, value in values.items() if key in known}
    try:
        return Head.model_validate(values)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
    if not wrong.isdisjoint(_TOGETHER):
        wrong.update(_TOGETHER)
    try:
        return Head.model_validate(
            {"dag_id": "unknown", **{key: each for key, each in values.items() if key not in wrong}}
        )
    except ValidationError:
        return None


def check_head(head: Head, policy: Policy, faults: Faults) -> None:
    """Note what is wrong with the head of a pipeline beyond the types of its keys."""
    if isinstance(head.schedule, Constructed):
        policy.importable(head.schedule.uses, ("schedule", "uses"))
    elif head.schedule is not None:
        check_schedule(head.schedule, faults)
    if head.params:
        check_params(head.params, scheduled=head.schedule is not None, faults=faults)
    _Calls(policy, faults).check(head)


class _Calls:
    """Checks everything of the head that is called when something has happened."""

    def __init__(self, policy: Policy, faults: Faults) -> None:
        self.policy = policy
        self.faults = faults

    def check(self, head: Head) -> None:
        for event, notices in head.notify.given().items() if head.notify else ():
            for index, notice in enumerate(notices):
                self._notice(notice, ("notify", event, index))
        self._deadlines(head)

    def _constructed(self, spec: Constructed, loc: Loc) -> None:
        self.policy.importable(spec.uses, (*loc, "uses"))

    def _notice(self, notice: NoticeBy, loc: Loc) -> None:
        channel = notice.channel()
        if channel is None:
            self.policy.importable(str(notice.uses), (*loc, "uses"))
        elif channel.conn_id is not None:
            self.policy.connection(channel.conn_id, (*loc, _key_of(notice, channel), "conn_id"))

    def _deadlines(self, head: Head) -> None:
        told = head.notify is not None and head.notify.deadline
        for index, deadline in enumerate(head.deadline or ()):
            loc = ("deadline", index)
            if isinstance(deadline.reference, Constructed):
                self._constructed(deadline.reference, (*loc, "reference"))
            if deadline.callback is not None:
                self._constructed(deadline.callback, (*loc, "callback"))
            elif not told:
                self.faults.add(loc, "tells nobody when it is missed", "add `notify: {deadline: ...}`, or a `callback`")
        if told and not _uses_notify(head.deadline or ()):
            hint = "add e.g. `deadline: {interval: 2h}`"
            self.faults.add(
                ("notify", "deadline"), "is never sent: no `deadline` is without `callback`", hint, of_key=True
            )


def _uses_notify(deadlines: Iterable[Deadline]) -> bool:
    return any(deadline.callback is None for deadline in deadlines)


def _key_of(notice: NoticeBy, channel: Channel) -> str:
    return next(name for name in type(notice).model_fields if getattr(notice, name) is channel)
