"""
Steps by the name that `uses` gives.

A package brings a step with three entry points of the same name: its model in `airflow_wall.steps`, its operator in
`airflow_wall.operators` and, if it computes, its job in `airflow_wall.jobs`.
"""

from __future__ import annotations

import functools

from airflow_wall.language.steps.base import Step
from airflow_wall.registry import LazyRegistry, class_name, modules_of

_PACKAGE = "airflow_wall.language.steps"
_OWN = {name: f"{_PACKAGE}.{name}:{class_name(name)}" for name in modules_of(_PACKAGE)}

STEPS: LazyRegistry[type[Step]] = LazyRegistry(_OWN, "airflow_wall.steps")
"""Each step by the name that `uses` gives."""


@functools.cache  # asked for each task
def closer_of(name: str) -> str | None:
    """Return the step that closes what a step opens, e.g. `stop_cluster` of `start_cluster`; None if nothing does."""
    if name in _OWN:
        return STEPS[name].closed_by
    others = [other for other in STEPS if other not in _OWN] if name in STEPS else []
    return next((other for other in others if _opener_of(other) == name), None)


def is_paired(name: str) -> bool:
    """Return True if a step opens what another one closes, or closes it."""
    return name in STEPS and (_opener_of(name) is not None or closer_of(name) is not None)


def _opener_of(name: str) -> str | None:
    step = STEPS[name]
    return step.task_fields[step.closes] if step.closes else None
