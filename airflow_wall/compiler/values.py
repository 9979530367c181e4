"""Arguments with markers, as the class takes them that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, XComArg, literal
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.compiler.imports import imported
from airflow_wall.compiler.signatures import is_marked
from airflow_wall.spec.markers import Const, FileRef, FileText, Import, Template, XComRef

Operator = BaseOperator | MappedOperator
"""A task, or one of which several are made by the run."""

Operators = Mapping[str, Operator]
"""Full id to the task that was built."""


def values_of(arguments: Mapping[str, Any], built: Operators, code: Path) -> tuple[dict[str, Any], list[str]]:
    """
    Return the arguments as a class takes them, and which of them are filled in when the task runs.

    :param built: The tasks that `$x` may name.
    :param code: Folder of the modules that `$import` may name.
    """
    # Most are plain text, which is no marker and stays what it is.
    rendered = [name for name, value in arguments.items() if not isinstance(value, str) and is_marked(value)]
    made = {
        name: value if isinstance(value, str) else value_of(value, built, code, protect=name in rendered)
        for name, value in arguments.items()
    }
    return made, rendered


def value_of(value: Any, built: Operators, code: Path, *, protect: bool) -> Any:
    """The value as a class takes it; beside a marked one in the same field, `protect` keeps plain text as it is."""
    if isinstance(value, str):
        return literal(value) if protect else value
    if isinstance(value, XComRef):
        return XComArg(built[value.task]) if value.key is None else XComArg(built[value.task], key=value.key)
    if isinstance(value, Template):
        return value.text
    if isinstance(value, Const | FileText):
        inner = value.value if isinstance(value, Const) else value.text
        return literal(inner) if protect else inner
    if isinstance(value, dict):
        return {key: value_of(each, built, code, protect=protect) for key, each in value.items()}
    if isinstance(value, list):
        return [value_of(each, built, code, protect=protect) for each in value]
    if isinstance(value, Import):
        return imported(value.reference, code, key="$import")
    assert not isinstance(value, FileRef), "the loader reads files"
    return literal(value) if protect else value
