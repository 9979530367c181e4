"""Find the Python that a plan names besides its operators: classes, functions, and objects of `$import`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from airflow_wall.diagnostics.patterns import REFERENCE_PATTERN
from airflow_wall.language.callables import Constructed
from airflow_wall.language.markers import Import
from airflow_wall.language.notify import NoticeBy
from airflow_wall.language.operator import RetryRule
from airflow_wall.planner.plan import Plan

_REFERENCE = re.compile(REFERENCE_PATTERN)

Allows = Callable[[str], bool]
"""Returns True if the policy allows a class, by its dotted path, or code, by `module:name`."""


def code_of(plan: Plan) -> Iterator[str]:
    """Yield everything that a plan names besides its operators: `module:name`, or the dotted path of a class."""
    yield from names_in([plan.arguments.get("schedule"), plan.on_success, plan.on_failure, plan.deadline, plan.notify])
    for key in ("user_defined_macros", "user_defined_filters"):
        yield from (plan.arguments.get(key) or {}).values()
    yield from names_in(plan.default_args)
    for task in plan.tasks:
        yield from names_in([task.settings, task.arguments, task.mapped])


def names_in(value: Any) -> Iterator[str]:
    """Yield the Python that a value of a plan names."""
    if isinstance(value, Import):
        yield value.reference
    elif isinstance(value, Constructed | NoticeBy):
        if value.uses is not None:
            yield value.uses
        yield from names_in(value.with_)
    elif isinstance(value, RetryRule):
        yield from value.exception
    elif isinstance(value, BaseModel):
        yield from names_in([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, dict):
        for key, item in value.items():
            is_call = key in ("pre_execute", "post_execute", "retry_policy") or str(key).endswith("_callback")
            yield from _references(item) if is_call else names_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from names_in(item)


def _references(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, str):
            if _REFERENCE.match(item):
                yield item
        else:
            yield from names_in(item)
