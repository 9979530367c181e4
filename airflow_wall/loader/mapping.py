"""Dynamic mapping: what `expand` and `expand_kwargs` of a task say."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, create_model

from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.loader.values import Values
from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.environment import KEYS as KEYS_OF_ENVIRONMENT
from airflow_wall.spec.markers import Import, XComRef
from airflow_wall.spec.operator import OperatorArguments
from airflow_wall.spec.refused import OPERATOR
from airflow_wall.spec.steps.base import Step
from airflow_wall.spec.steps.table import CLOSERS
from airflow_wall.text.faults import Loc, shown

KEYS = ("expand", "expand_kwargs")
"""Keys of a task that map it."""


class Mapper:
    """
    Checks the mapping of tasks.

    :param faults: Where faults go.
    :param values: What else to ask of a step's values.
    """

    def __init__(self, faults: Faults, values: Values) -> None:
        self.faults = faults
        self.values = values

    def check(self, mapped: Mapping[str, Any], given: Mapping[str, Any], written: Mapping[str, Any], loc: Loc) -> None:
        """
        Note what is wrong with the mapping of any operator.

        :param mapped: `expand` or `expand_kwargs` as written, markers made.
        :param given: The `with`.
        :param written: The other keys of the task.
        """
        if len(mapped) > 1:
            hint = "write `expand` for lists of each argument, `expand_kwargs` for a list of arguments"
            self.faults.add((*loc, "expand_kwargs"), "cannot stand beside `expand`", hint, of_key=True)
        if not mapped and "map_index_template" in written:
            hint = "add `expand`, or remove it"
            self.faults.add((*loc, "map_index_template"), "is of a task that is not mapped", hint, of_key=True)
        for where, entries in blocks(mapped, loc):
            for name, value in entries.items():
                self._argument(name, given, (*where, name))
                if where[-1] == "expand":
                    self._list(value, (*where, name))
        if isinstance(mapped.get("expand_kwargs"), XComRef):
            self._returned(mapped["expand_kwargs"], (*loc, "expand_kwargs"))

    def _argument(self, name: str, given: Mapping[str, Any], where: Loc) -> None:
        if name in given:
            hint = "write it in one place: in `with` for all, in `expand` for each"
            self.faults.add(where, "is given in `with` too", hint, of_key=True)
        elif name in OperatorArguments.model_fields or name in OPERATOR:
            hint = f"write `{name}` beside `expand`, as a key of the task"
            self.faults.add(
                where, "is an argument of every task, and the same for all that are mapped", hint, of_key=True
            )

    def _list(self, value: Any, where: Loc) -> None:
        if isinstance(value, XComRef):
            self._returned(value, where)
        elif not isinstance(value, list | dict | Import) and value is not UNRESOLVED:
            hint = f"write e.g. `{where[-1]}: [a, b]`, or `{where[-1]}: {{$x: task}}`"
            self.faults.add(where, f"must be a list, a mapping or what a task returns, got `{_said(value)}`", hint)
        elif value in ([], {}):
            self.faults.add(where, "has no values: nothing would run", "write at least one")

    def _returned(self, value: XComRef, where: Loc) -> None:
        if value.key not in (None, "return_value"):
            hint = "map over what the task returns: leave `key` out"
            self.faults.add(where, f"maps over the key `{value.key}` of `{value.task}`, which Airflow cannot", hint)

    def step(
        self, uses: str, model: type[Step], given: dict[str, Any], mapped: Mapping[str, Any], loc: Loc
    ) -> Step | None:
        """Check the mapping of one of our steps. Return the step with what every mapped task of it has."""
        if uses in CLOSERS or model.closes:
            hint = "write `matrix` on a group to have several pairs"
            self.faults.add((*loc, next(iter(mapped))), f"is of `{uses}`, which is one of a pair", hint, of_key=True)
            return None
        for where, entries in blocks(mapped, loc):
            for name in (name for name in KEYS_OF_ENVIRONMENT if name in entries):
                hint = f"write `{name}` under `with`, or make several tasks by `matrix`"
                self.faults.add((*where, name), "must be the same for all that are mapped", hint, of_key=True)
        expand = mapped.get("expand")
        if isinstance(expand, dict):
            return self._expanded(model, given, expand, loc)
        return self._from_entries(model, given, mapped.get("expand_kwargs"), loc)

    def _expanded(self, model: type[Step], given: dict[str, Any], expand: dict[str, Any], loc: Loc) -> Step | None:
        late = frozenset(name for name, value in expand.items() if not isinstance(value, list))
        listed = self.faults.check(_lists(model, late), expand, (*loc, "expand"))
        for name, values in expand.items():
            for index, value in enumerate(values if isinstance(values, list) else ()):
                self.values.one(name, value, (*loc, "expand", name, index))
        if listed is None:
            return None
        return self.faults.check(_with_any(model, frozenset(expand)), {**given, **expand}, (*loc, "with"))

    def _from_entries(self, model: type[Step], given: dict[str, Any], entries: Any, loc: Loc) -> Step | None:
        found = entries if isinstance(entries, list) else []
        for index, entry in enumerate(found):
            where = (*loc, "expand_kwargs", index)
            if not isinstance(entry, dict):
                continue
            self.faults.check(_optional(model), entry, where)
            for name, value in entry.items():
                self.values.one(name, value, (*where, name))
            for name, info in model.model_fields.items():
                if info.is_required() and name not in given and name not in entry:
                    self.faults.add(
                        (*where, name), "is missing", f"add `{name}` here, or to `with` for all", of_key=True
                    )
        common = self.faults.check(_optional(model, fixed=True), given, (*loc, "with"))
        return None if common is None else model.model_construct(**{name: getattr(common, name) for name in given})


def blocks(mapped: Mapping[str, Any], loc: Loc) -> Iterator[tuple[Loc, dict[str, Any]]]:
    """Every mapping of arguments, with its place."""
    if isinstance(mapped.get("expand"), dict):
        yield (*loc, "expand"), mapped["expand"]
    entries = mapped.get("expand_kwargs")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield (*loc, "expand_kwargs", index), entry


def _said(value: Any) -> str:
    return "a template" if hasattr(value, "text") else shown(value)


@functools.cache
def _lists(model: type[Step], late: frozenset[str]) -> type[SpecModel]:
    """The fields of a step that may be mapped, each as a list of its values; those `late` are known by the run only."""
    fields: dict[str, Any] = {
        name: (Any if name in late else list[info.annotation], Field(None))  # type: ignore[name-defined]
        for name, info in _mappable(model).items()
    }
    return _made(model, fields)


@functools.cache
def _with_any(model: type[Step], names: frozenset[str]) -> type[Step]:
    """The step with fields that may hold anything: their values are checked apart."""
    fields: dict[str, Any] = dict.fromkeys(names, (Any, None))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


@functools.cache
def _optional(model: type[Step], *, fixed: bool = False) -> type[SpecModel]:
    """The fields of a step, none of them required; `fixed`: those that cannot be mapped too."""
    found = model.model_fields if fixed else _mappable(model)
    return _made(model, {name: (info.annotation, Field(None)) for name, info in found.items()})


def _made(model: type[Step], fields: dict[str, Any]) -> type[SpecModel]:
    made = create_model(model.__name__, __base__=SpecModel, **fields)
    why = "it is the same for all that are mapped; write it in `with`, or repeat the task by `matrix`"
    made.refused = dict.fromkeys(model.model_fields.keys() - fields.keys(), why)
    return made


def _mappable(model: type[Step]) -> dict[str, Any]:
    fixed = {*model.task_fields, *model.reads_file}
    return {name: info for name, info in model.model_fields.items() if name not in fixed}
