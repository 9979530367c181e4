"""Tasks that are made when the run comes to them: one for each value of a list."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.compiler.signatures import is_marked
from airflow_wall.compiler.values import Operators, value_of, values_of
from airflow_wall.operators.base import PatientOperator
from airflow_wall.spec.markers import XComRef


def built_mapped(
    kind: type[BaseOperator],
    mapped: Mapping[str, Any],
    common: Mapping[str, Any],
    rendered: list[str],
    built: Operators,
    code: Path,
) -> MappedOperator:
    """
    Return the mapped operator.

    :param mapped: `expand` or `expand_kwargs` of the task.
    :param common: What every one of its tasks is given.
    :param rendered: Those of `common` that are filled in when the task runs.
    :param built: The tasks that `$x` may name.
    :param code: Folder of the YAML.
    """
    partial = _literal(kind).partial(**common)
    if "expand" in mapped:
        values, filled = values_of(mapped["expand"], built, code)
        operator = partial.expand(**values)
        given = {*values}
    elif isinstance(mapped["expand_kwargs"], XComRef):  # what it gives is known by the run only, and is literal too
        filled, given = [], {*kind.template_fields}
        operator = partial.expand_kwargs(value_of(mapped["expand_kwargs"], built, code, protect=False))
    else:
        entries = [entry.items() for entry in mapped["expand_kwargs"]]
        filled = [name for entry in entries for name, value in entry if is_marked(value)]
        given = {name for entry in entries for name, _ in entry}
        operator = partial.expand_kwargs(
            [{name: value_of(value, built, code, protect=name in filled) for name, value in entry} for entry in entries]
        )
    operator.template_fields = tuple(
        name
        for name in kind.template_fields
        if name in rendered or name in filled or (name not in common and name not in given)
    )
    operator._is_sensor = operator._is_sensor or issubclass(kind, PatientOperator)
    return operator


@functools.cache
def _literal(kind: type[BaseOperator]) -> type[BaseOperator]:
    """The class, but a text that ends like the name of a file is not taken for one when it is filled in."""
    if not kind.template_ext:
        return kind
    return type(kind.__name__, (kind,), {"template_ext": (), "__module__": kind.__module__, "__doc__": kind.__doc__})
