"""Check dynamic mapping: `expand` and `expand_kwargs` of a task."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import GenericAlias
from typing import Annotated, Any

from pydantic import Field, create_model

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.language.base import SpecModel
from airflow_wall.language.environment import KEYS as KEYS_OF_ENVIRONMENT
from airflow_wall.language.markers import Import, XComRef
from airflow_wall.language.operator import OperatorArguments
from airflow_wall.language.operators import maps_keywords
from airflow_wall.language.refused import OPERATOR
from airflow_wall.language.step_registry import is_paired
from airflow_wall.language.steps.base import Step
from airflow_wall.loader.faults import UNRESOLVED
from airflow_wall.loader.policy import Policy
from airflow_wall.loader.values import Values
from airflow_wall.text.kinds import FieldKind, fields_of, rules_below, whole_type

KEYS = ("expand", "expand_kwargs")
"""Keys of a task that map it."""


class Mapper:
    """
    Checks the mapping of tasks.

    :param policy: Parses blocks, and checks what is allowed in them.
    :param values: Checks the values of a step beyond their types.
    """

    def __init__(self, policy: Policy, values: Values) -> None:
        self.policy = policy
        self.faults = policy.faults
        self.values = values

    def check(
        self, mapped: Mapping[str, Any], arguments: Mapping[str, Any], written: Mapping[str, Any], loc: Loc
    ) -> None:
        """
        Note the faults in the mapping of any operator.

        :param mapped: `expand` or `expand_kwargs` as written, with markers replaced by their objects.
        :param arguments: The `with`.
        :param written: The other keys of the task.
        """
        if len(mapped) > 1:
            hint = "write `expand` for lists of each argument, `expand_kwargs` for a list of arguments"
            self.faults.add((*loc, "expand_kwargs"), "cannot stand beside `expand`", hint, of_key=True)
        if not mapped and "map_index_template" in written:
            hint = "add `expand`, or remove it"
            self.faults.add((*loc, "map_index_template"), "needs a task that is mapped", hint, of_key=True)
        for where, entries in blocks(mapped, loc):
            for name, value in entries.items():
                if name == "op_kwargs" and maps_keywords(written.get("uses"), mapped):
                    self._keywords(value, entries, arguments, (*where, name))
                    continue
                self._argument(name, arguments, (*where, name))
                if where[-1] == "expand":
                    self._list(value, (*where, name))
        if isinstance(mapped.get("expand_kwargs"), XComRef):
            self._returned(mapped["expand_kwargs"], (*loc, "expand_kwargs"))

    def _keywords(
        self, keywords: Mapping[str, Any], entries: Mapping[str, Any], arguments: Mapping[str, Any], where: Loc
    ) -> None:
        """Note the faults of a mapping over keywords of a function."""
        if not keywords:
            self._list(keywords, where)
        for name in entries:
            if name != "op_kwargs":
                hint = "map over keywords of the function only, or over arguments only"
                self.faults.add((*where[:-1], name), "cannot stand beside `op_kwargs` by keyword", hint, of_key=True)
        common = arguments.get("op_kwargs")
        for name, value in keywords.items():
            self._list(value, (*where, name))
            if isinstance(common, dict) and name in common:
                hint = "write it in one place: in `with` for all, in `expand` for each"
                self.faults.add((*where, name), "is given in `with` too", hint, of_key=True)

    def _argument(self, name: str, arguments: Mapping[str, Any], where: Loc) -> None:
        if name in arguments:
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
            self.faults.add(where, f"must be a list, a mapping or what a task returns, got `{_describe(value)}`", hint)
        elif value in ([], {}):
            self.faults.add(where, "has no values: nothing would run", "write at least one")

    def _returned(self, value: XComRef, where: Loc) -> None:
        if value.key not in (None, "return_value"):
            hint = "map over what the task returns: leave `key` out"
            self.faults.add(where, f"maps over the key `{value.key}` of `{value.task}`, which Airflow cannot", hint)

    def step(
        self, uses: str, model: type[Step], arguments: dict[str, Any], mapped: Mapping[str, Any], loc: Loc
    ) -> Step | None:
        """Check the mapping of a step. Return the step with the arguments that all its mapped tasks share."""
        if is_paired(uses):
            hint = "write `matrix` on a group to have several pairs"
            message = f"cannot map `{uses}`, which is one of a pair"
            self.faults.add((*loc, next(iter(mapped))), message, hint, of_key=True)
            return None
        for where, entries in blocks(mapped, loc):
            for name in (name for name in (*KEYS_OF_ENVIRONMENT, "approve") if name in entries):
                hint = f"write `{name}` under `with`, or make several tasks by `matrix`"
                self.faults.add((*where, name), "must be the same for all that are mapped", hint, of_key=True)
        expand = mapped.get("expand")
        if isinstance(expand, dict):
            return self._expanded(model, arguments, expand, loc)
        return self._from_entries(model, arguments, mapped.get("expand_kwargs"), loc)

    def _expanded(self, model: type[Step], arguments: dict[str, Any], expand: dict[str, Any], loc: Loc) -> Step | None:
        late = frozenset(name for name, value in expand.items() if not isinstance(value, list))
        listed = self.policy.parsed(_lists(model, late), expand, (*loc, "expand"))
        for name, values in expand.items():
            for index, value in enumerate(values if isinstance(values, list) else ()):
                self.values.check_field(name, value, (*loc, "expand", name, index))
        if listed is None:
            return None
        return self.policy.parsed(_with_any(model, frozenset(expand)), {**arguments, **expand}, (*loc, "with"))

    def _from_entries(self, model: type[Step], arguments: dict[str, Any], entries: Any, loc: Loc) -> Step | None:
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            where = (*loc, "expand_kwargs", index)
            if not isinstance(entry, dict):
                continue
            self.policy.parsed(_optional(model), entry, where)
            for name, value in entry.items():
                self.values.check_field(name, value, (*where, name))
            for name, info in model.model_fields.items():
                if info.is_required() and name not in arguments and name not in entry:
                    self.faults.add(
                        (*where, name), "is missing", f"add `{name}` here, or to `with` for all", of_key=True
                    )
        common = self.policy.parsed(_optional(model, fixed=True), arguments, (*loc, "with"))
        return None if common is None else model.model_construct(**{name: getattr(common, name) for name in arguments})


def blocks(mapped: Mapping[str, Any], loc: Loc) -> Iterator[tuple[Loc, dict[str, Any]]]:
    """Yield every mapping of arguments with its path."""
    if isinstance(mapped.get("expand"), dict):
        yield (*loc, "expand"), mapped["expand"]
    entries = mapped.get("expand_kwargs")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield (*loc, "expand_kwargs", index), entry


def _describe(value: Any) -> str:
    return "a template" if hasattr(value, "text") else brief(value)


@functools.cache
def _lists(model: type[Step], late: frozenset[str]) -> type[SpecModel]:
    """
    Return a model of a step's mappable fields, each a list of values.

    :param late: Fields whose values are known only when the task runs.
    """
    fields: dict[str, Any] = {
        name: (_late(model, name) if name in late else GenericAlias(list, (whole_type(info),)), Field(None))
        for name, info in _mappable(model).items()
    }
    return _create_model(model, fields)


def _late(model: type[Step], name: str) -> Any:
    """Return a type for any value, with the kinds that the field may hold."""
    shape = next(field.shape for field in fields_of(model) if field.name == name)
    return Annotated[Any, *rules_below(shape)]


@functools.cache
def _with_any(model: type[Step], names: frozenset[str]) -> type[Step]:
    """Return the step with `names` as fields of any value, because their values are checked on their own."""
    fields: dict[str, Any] = dict.fromkeys(names, (Annotated[Any, FieldKind.PLAIN], None))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


@functools.cache
def _optional(model: type[Step], *, fixed: bool = False) -> type[SpecModel]:
    """
    Return a model of a step's fields, none of them required.

    :param fixed: True to include the fields that cannot be mapped.
    """
    fields = model.model_fields if fixed else _mappable(model)
    return _create_model(model, {name: (whole_type(info), Field(None)) for name, info in fields.items()})


def _create_model(model: type[Step], fields: dict[str, Any]) -> type[SpecModel]:
    created = create_model(model.__name__, __base__=SpecModel, **fields)
    why = "it is the same for all that are mapped; write it in `with`, or repeat the task by `matrix`"
    created.refused = dict.fromkeys(model.model_fields.keys() - fields.keys(), why)
    return created


def _mappable(model: type[Step]) -> dict[str, Any]:
    fixed = {*model.task_fields, *model.reads_file}
    return {name: info for name, info in model.model_fields.items() if name not in fixed}
