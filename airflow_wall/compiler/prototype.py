"""
Operators made as copies of one: what Airflow makes of the settings that tasks share is made once.

`BaseOperator` sets some seventy attributes of every operator and looks for a converter of each; that is most of what
building a DAG costs. A `Prototype` is a `BaseOperator` with the settings that tasks have in common, made the usual way.
One of our steps only stores what it is given: its operator is a copy with the step's own fields laid over it. Any
other operator runs its own constructor, and only where that calls `BaseOperator`'s, the copy stands in for it.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup

from airflow_wall.operators.base import StepOperator

_GIVEN = "_BaseOperator__init_kwargs"
"""Where Airflow keeps what a constructor was given: serialization asks it."""

_OF_CONSTRUCTION = (_GIVEN, "_BaseOperator__from_mapped", "_BaseOperator__instantiated")
"""Attributes by which Airflow knows how far the construction of an operator is."""

_OF_EACH = ("task_id", "task_group", "dag", "default_args")
"""Arguments of `BaseOperator` that no two tasks share, or that are in the others already."""

_PROTOTYPE = "_airflow_wall_prototype"


class Prototype:
    """
    What tasks with the same settings have in common.

    :param settings: Arguments of `BaseOperator`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        state = dict(vars(BaseOperator(task_id="prototype", **settings)))
        self.given = {name: value for name, value in state[_GIVEN].items() if name not in _OF_EACH}
        self._construction = {name: state.pop(name) for name in _OF_CONSTRUCTION}
        self._state = state
        # One of these for all would be changed for all.
        self._own = [name for name, value in state.items() if isinstance(value, list | dict | set)]

    def lay(self, operator: BaseOperator, task_id: str, dag: DAG, group: TaskGroup) -> None:
        """Do to a new operator what `BaseOperator(task_id=task_id, dag=dag, task_group=group, **settings)` would."""
        state = vars(operator)
        state.update(self._state)
        for name in self._own:
            state[name] = copy.copy(state[name])
        state["params"] = copy.deepcopy(state["params"])  # whose values change in place
        state["task_id"] = group.child_id(task_id)  # type: ignore[no-untyped-call]
        group.add(operator)
        state["task_group"] = group
        dag.add_task(operator)

    def step(
        self, kind: type[StepOperator], task_id: str, dag: DAG, group: TaskGroup, fields: Mapping[str, Any]
    ) -> StepOperator:
        """
        Return what `kind(task_id=task_id, task_group=group, **settings, **fields)` in this DAG is.

        :param kind: The operator of a step, which only stores its fields.
        :param task_id: Its id in its group.
        :param fields: Every field that has no default, and any others.
        """
        operator = kind.__new__(kind)
        vars(operator).update(self._construction)
        vars(operator)[_GIVEN] = {**self.given, **fields, "task_id": task_id, "task_group": group}
        vars(operator).update(_defaults(kind))
        vars(operator).update(fields)
        self.lay(operator, task_id, dag, group)
        return operator

    def operator(self, kind: type[BaseOperator], **arguments: Any) -> BaseOperator:
        """
        Return what `kind(**arguments)` is.

        :param arguments: With `task_id`, `dag` and `task_group`. Where they come to other settings than those of the
            prototype, no copy is made.
        """
        copying = _copying(kind)
        if copying is None:
            return kind(**arguments)
        operator = copying.__new__(copying)
        vars(operator)[_PROTOTYPE] = self
        operator.__init__(**arguments)  # type: ignore[misc]
        vars(operator).pop(_PROTOTYPE, None)  # of one that goes round `super()`
        object.__setattr__(operator, "__class__", kind)
        return operator


@functools.cache
def _defaults(kind: type[StepOperator]) -> dict[str, Any]:
    """The fields of a step that have a default."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__[: kind.__mro__.index(BaseOperator)]):
        made: Any = vars(each).get("__init__")
        found.update((made and made.__wrapped__.__kwdefaults__) or {})  # Airflow wraps every constructor
    return found


def _init(self: BaseOperator, **arguments: Any) -> None:
    prototype: Prototype | None = vars(self).pop(_PROTOTYPE, None)
    shared = {name: value for name, value in arguments.items() if name not in _OF_EACH}
    if prototype is None or shared != prototype.given:
        super(_Copy, self).__init__(**arguments)
    else:
        prototype.lay(self, arguments["task_id"], arguments["dag"], arguments["task_group"])


# Airflow fills in from `default_args` what the signature of a constructor names.
_init.__signature__ = inspect.signature(BaseOperator.__init__)  # type: ignore[attr-defined]


class _Copy(BaseOperator):
    """A `BaseOperator` that becomes a copy of its prototype when it is constructed."""

    __init__ = _init


_SPECIAL = frozenset({"__new__", "__setattr__", "__init_subclass__", "__slots__"})


@functools.cache
def _attributes() -> frozenset[str]:
    return frozenset(vars(BaseOperator(task_id="prototype")))


@functools.cache
def _copying(kind: type[BaseOperator]) -> type[BaseOperator] | None:
    """The class with `_Copy` between it and `BaseOperator`; None where it does more to attributes than to set them."""
    for each in kind.__mro__[: kind.__mro__.index(BaseOperator)]:
        names = vars(each)
        if not _SPECIAL.isdisjoint(names) or any(name.startswith("_convert_") for name in names):
            return None
        if any(hasattr(names[name], "__set__") for name in _attributes() & names.keys()):
            return None
    try:
        body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        return types.new_class(kind.__name__, (kind, _Copy), exec_body=lambda names: names.update(body))
    except TypeError:  # it cannot stand before another class
        return None
