"""
The operators of our steps, made as copies: what Airflow makes of the settings they share is made once.

`BaseOperator` sets some seventy attributes of every operator and looks for a converter of each; that is most of what
building a DAG costs. A step only stores what it is given, so its operator is the one of the shared settings with the
step's own fields laid over it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup

from airflow_wall.operators.base import StepOperator

_GIVEN = "_BaseOperator__init_kwargs"
"""Where Airflow keeps what a constructor was given: serialization asks it."""


class Prototype:
    """
    What steps with the same settings have in common.

    :param settings: Arguments of `BaseOperator`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._state = dict(vars(BaseOperator(task_id="prototype", **settings)))
        self._given = dict(self._state[_GIVEN])
        # One of these for all would be changed for all.
        self._own = [name for name, value in self._state.items() if isinstance(value, list | dict | set)]

    def operator(
        self, kind: type[StepOperator], task_id: str, dag: DAG, group: TaskGroup, fields: Mapping[str, Any]
    ) -> StepOperator:
        """
        Return what `kind(task_id=task_id, task_group=group, **settings, **fields)` in this DAG is.

        :param kind: The operator of a step, which only stores its fields.
        :param task_id: Its id in its group.
        :param fields: Every field that has no default, and any others.
        """
        operator = kind.__new__(kind)
        state = vars(operator)
        state.update(self._state)
        for name in self._own:
            state[name] = copy.copy(state[name])
        state["params"] = copy.deepcopy(state["params"])  # whose values change in place
        state[_GIVEN] = {**self._given, **fields, "task_id": task_id, "task_group": group}
        state.update(_defaults(kind))
        state.update(fields)
        state["task_id"] = group.child_id(task_id)  # type: ignore[no-untyped-call]
        group.add(operator)
        state["task_group"] = group
        dag.add_task(operator)
        return operator


@functools.cache
def _defaults(kind: type[StepOperator]) -> dict[str, Any]:
    """The fields of a step that have a default."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__[: kind.__mro__.index(BaseOperator)]):
        made: Any = vars(each).get("__init__")
        found.update((made and made.__wrapped__.__kwdefaults__) or {})  # Airflow wraps every constructor
    return found
