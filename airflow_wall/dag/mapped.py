"""Build mapped tasks: a run expands each of them into one task instance per value of a list."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.airflow_internals import mark_reschedulable
from airflow_wall.dag.signatures import is_marked
from airflow_wall.dag.values import Operators, value_of, values_of
from airflow_wall.language.markers import XComRef
from airflow_wall.language.operators import KEYWORD_OPERATORS, maps_keywords


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
    :param common: Arguments that all its task instances share.
    :param rendered: Names in `common` that are rendered when the task runs.
    :param built: The tasks that `$x` may name.
    :param code: Directory of the YAML.
    """
    if maps_keywords(f"{kind.__module__}.{kind.__name__}", mapped):
        return _built_by_keywords(kind, mapped["expand"]["op_kwargs"], common, rendered, built, code)
    partial = _literal(kind).partial(**common)
    if "expand" in mapped:
        values, filled = values_of(mapped["expand"], built, code)
        operator = partial.expand(**values)
        mapped_names = {*values}
    elif isinstance(mapped["expand_kwargs"], XComRef):  # its values are known only in the run, and are literal too
        filled, mapped_names = [], {*kind.template_fields}
        operator = partial.expand_kwargs(value_of(mapped["expand_kwargs"], built, code, protect=False))
    else:
        entries = [entry.items() for entry in mapped["expand_kwargs"]]
        filled = [name for entry in entries for name, value in entry if is_marked(value)]
        mapped_names = {name for entry in entries for name, _ in entry}
        operator = partial.expand_kwargs(
            [{name: value_of(value, built, code, protect=name in filled) for name, value in entry} for entry in entries]
        )
    operator.template_fields = tuple(
        name
        for name in kind.template_fields
        if name in rendered or name in filled or (name not in common and name not in mapped_names)
    )
    mark_reschedulable(operator, kind)
    return operator


def _built_by_keywords(
    kind: type[BaseOperator],
    keywords: Mapping[str, Any],
    common: Mapping[str, Any],
    rendered: list[str],
    built: Operators,
    code: Path,
) -> MappedOperator:
    """
    Return the task that is mapped over keywords of its function: one instance for each combination of their values.

    :param keywords: Keyword of the function to its values.
    """
    from airflow.sdk import task as decorators  # imports the Python operators, which most files do not need

    decorator = getattr(decorators, KEYWORD_OPERATORS[f"{kind.__module__}.{kind.__name__}"])
    rest = {name: value for name, value in common.items() if name not in ("python_callable", "op_kwargs")}
    filled = any(is_marked(value) for value in keywords.values() if not isinstance(value, XComRef))
    is_rendered = filled or "op_kwargs" in rendered
    values = {name: value_of(value, built, code, protect=is_rendered) for name, value in keywords.items()}
    task = decorator(**rest)(common["python_callable"])
    if shared := common.get("op_kwargs"):
        task = task.partial(**shared)
    operator: MappedOperator = task.expand(**values).operator
    kept = {*rendered, *(("op_kwargs",) if is_rendered else ())}
    operator.template_fields = tuple(
        name for name in operator.template_fields if name in kept or name not in {*common, "op_kwargs"}
    )
    return operator


@functools.cache
def _literal(kind: type[BaseOperator]) -> type[BaseOperator]:
    """Return the class without `template_ext`: a text that ends like a file name is not read as a file."""
    if not kind.template_ext:
        return kind
    return type(kind.__name__, (kind,), {"template_ext": (), "__module__": kind.__module__, "__doc__": kind.__doc__})
