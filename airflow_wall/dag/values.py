"""Build values that Airflow takes from those of the YAML: resolve markers, and build params."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Param, XComArg, literal
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.dag.imports import imported
from airflow_wall.dag.signatures import is_marked
from airflow_wall.language.markers import Const, FileRef, FileText, Import, Template, XComRef
from airflow_wall.loader.params import bounded_schema

Operator = BaseOperator | MappedOperator
"""A task, or a mapped task, which a run expands into several."""

Operators = Mapping[str, Operator]
"""Full id to the built task."""


def values_of(arguments: Mapping[str, Any], built: Operators, code: Path) -> tuple[dict[str, Any], list[str]]:
    """
    Return the arguments as a class takes them, and the names of those that are rendered when the task runs.

    :param built: The tasks that `$x` may name.
    :param code: Directory of the modules that `$import` may name.
    """
    # Most values are plain text without markers, which stays unchanged.
    rendered = [name for name, value in arguments.items() if not isinstance(value, str) and is_marked(value)]
    values = {
        name: value if isinstance(value, str) else value_of(value, built, code, protect=name in rendered)
        for name, value in arguments.items()
    }
    return values, rendered


def value_of(value: Any, built: Operators, code: Path, *, protect: bool) -> Any:
    """Return the value as a class takes it. `protect` keeps plain text unrendered beside a marker in the same field."""
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
        return {key: value_of(item, built, code, protect=protect) for key, item in value.items()}
    if isinstance(value, list):
        return [value_of(item, built, code, protect=protect) for item in value]
    if isinstance(value, Import):
        return imported(value.reference, code, key="$import")
    assert not isinstance(value, FileRef), "the loader reads files"
    return literal(value) if protect else value


def built_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params by name: a mapping is a JSON schema, any other value is a default."""
    return {name: _param(param) if isinstance(param, dict) else param for name, param in params.items()}


def _param(param: Mapping[str, Any]) -> Param:
    schema = {key: value for key, value in param.items() if key not in ("default", "description")}
    arguments = {key: param[key] for key in ("default", "description") if key in param}
    return Param(**arguments, schema=bounded_schema(schema))
