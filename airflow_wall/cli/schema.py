"""`airflow-wall schema`: the JSON schema of the language, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.output import out, write_file
from airflow_wall.diagnostics.patterns import (
    DAG_ID_PATTERN,
    DOTTED_PATTERN,
    MEMORY_PATTERN,
    NAME_PATTERN,
    REFERENCE_PATTERN,
)
from airflow_wall.language.base import MOMENT_PATTERN, ZONE_PATTERN
from airflow_wall.language.markers import MARKERS
from airflow_wall.language.native import DAG_ARGUMENTS, FORMAT_KEYS, TASK_ARGUMENTS, TASK_KEYS
from airflow_wall.language.pipeline import Pipeline
from airflow_wall.language.schedule import CRON_PATTERN, SCHEDULE_PATTERN
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.include import SHARED
from airflow_wall.loader.load import AIRFLOW_SCHEMA, NEVER_OVERLAID
from airflow_wall.text.durations import DURATION_PATTERN

Schema = dict[str, Any]

_NAME = r"\$\{\{ *(vars|env|matrix)(\.[\w-]+)+ *\}\}"
_EXPRESSION = {"type": "string", "pattern": rf"^[^{{}}]*{_NAME}"}
_PLAIN = {"pattern": r"^(?![\s\S]*\$\{\{(?! *(vars|env|matrix)(\.[\w-]+)+ *\}\}))"}
"""Any text, whose expressions are names."""

_FILE = r"^(?!/)(?![a-z][a-z0-9+.-]*://)"
_TEXTS = {
    "storage": r"^(?![a-z][a-z0-9+.-]*://)",
    "conn_id": r"^(?![\s\S]*://)",
    "table": r"^(?!/)(?!(.*/)?\.\.(/|$))",
    "target": r"^(?!/)(?!(.*/)?\.\.(/|$))[^*?]*$",
    "source": r"^(?!(.*/)?\.\.(/|$))(?!(s3|gs|sql)://[^/]*/?$)",
    "entrypoint": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$|\$\{\{",
}
"""Key of a text to its pattern."""

_TOGETHER = {"order_by": ["key"], "save": ["load"]}
"""Argument of a step to those that it needs."""

_ANY_MARKER = {"type": "object", "patternProperties": {r"^\$": {}}, "additionalProperties": False}
"""The schema of a marker in the models of steps."""

_MARKER = {"$ref": "#/$defs/marker"}
_ARGUMENT = {"$ref": "#/$defs/argument"}
_MESSAGES = {
    NAME_PATTERN: "must be letters, digits, `_` and `-`",
    DAG_ID_PATTERN: "must be letters, digits, `_`, `-` and `.`",
    REFERENCE_PATTERN: "must be `module:name` of a Python file beside the pipeline",
    DOTTED_PATTERN: "must be a dotted path such as `package.module.Class`",
    MEMORY_PATTERN: "must be a size such as `512MB` or `4GB`",
    DURATION_PATTERN: "must be a duration, e.g. `30s`, `5m`, `2h`, `1d` or `PT5M`",
    MOMENT_PATTERN: "must be a date or a time, e.g. `2013-01-01` or `2013-01-01T03:00`",
    ZONE_PATTERN: "must be a time zone, e.g. `America/New_York` or `UTC`",
    SCHEDULE_PATTERN: "must be a cron expression of five fields, a preset such as `@daily`, or a duration such as `6h`",
    CRON_PATTERN: "must be a cron expression of five fields, or a preset such as `@daily`",
    _PLAIN["pattern"]: "`${{ }}` holds one name: `${{ vars.NAME }}`, `${{ env.NAME }}` or `${{ matrix.NAME }}`",
    _TEXTS["storage"]: "must be a folder, e.g. `./lake` or `/srv/lake`",
    _TEXTS["conn_id"]: "must be the id of an Airflow connection, not an address",
    _TEXTS["table"]: "must be a table of the lake, e.g. `bronze/orders`",
    _TEXTS["target"]: "must be a table of the lake, e.g. `bronze/orders`",
    _TEXTS["source"]: "must be a path without `..`, `sql://connection/table` or `s3://bucket/path`",
    _FILE: "must be a file beside the pipeline, e.g. `sql/clean.sql`",
    _TEXTS["entrypoint"]: "must be `module:function` of a Python file beside the pipeline",
}
"""Pattern to its message in editors that know `patternErrorMessage`."""

_WITHOUT_EXPRESSION = ("dag_id", "include", "extends", "tasks", "templates", "vars", "environments", "matrix", "with")
"""Keys that are read before expressions are resolved, or whose values have their own."""


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of the terminal.")
    ] = None,
) -> None:
    """
    Print the JSON schema of pipeline files, of the files that they include, and of files of checks.

    Editors complete and check with it: put `# yaml-language-server: $schema=PATH` into the first line of a pipeline.
    """
    text = json.dumps(json_schema(), indent=2)
    if output is None:
        out().print(text)
    else:
        write_file(output, f"{text}\n")


def json_schema() -> Schema:
    """Return the JSON schema of the models. Each step's `with` has its own definition."""
    pipeline = Pipeline.model_json_schema()
    definitions = pipeline.pop("$defs")
    task = definitions["Task"]
    task["properties"]["uses"] = {**_described(task["properties"]["uses"]), "anyOf": _operators()}
    task["properties"]["with"] = {**_described(task["properties"]["with"]), "$ref": "#/$defs/arguments"}
    conditions = []
    for name, step in STEPS.items():
        inner = step.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for key, definition in inner.pop("$defs", {}).items():
            definitions[f"{name}.{key}"] = definition
        required = inner.pop("required", [])
        if "checks" in inner["properties"]:
            inner["properties"]["checks"]["anyOf"][-1] = {"$ref": "#/$defs/checks"}
        definitions[f"with.{name}"] = inner
        conditions += _conditions(name, list(inner["properties"]), required)
    definitions["Template"] = {
        **{key: value for key, value in task.items() if key != "required"},
        "allOf": [condition for condition in conditions if "required" not in condition["then"]],
    }
    runs = {"if": {"required": ["run"]}, "then": {"properties": {"uses": False, "with": False}}}
    task["allOf"] = [*conditions, runs]
    definitions |= _checks()
    pipeline["properties"]["templates"]["additionalProperties"] = {"$ref": "#/$defs/Template"}
    pipeline["properties"]["environments"]["additionalProperties"] = _overlay(pipeline)
    definitions = {key: _completed(value) for key, value in definitions.items()}
    definitions |= _values()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "airflow-wall pipeline",
        "type": "object",
        "if": {"required": ["$schema"], "properties": {"$schema": {"pattern": AIRFLOW_SCHEMA}}},
        "then": _native(),
        "else": _file(_completed(pipeline)),
        "$defs": definitions,
    }


def _described(node: Schema) -> Schema:
    return {key: node[key] for key in ("description", "title") if key in node}


def _operators() -> list[Schema]:
    path = r"^[A-Za-z_]\w*([.:][A-Za-z_]\w*)+$"
    return [{"enum": list(STEPS)}, {"type": "string", "pattern": path}, {"type": "null"}]


def _conditions(name: str, fields: list[str], required: list[str]) -> list[Schema]:
    """Return the conditions that give the tasks of a step their `with`."""
    is_step: Schema = {"required": ["uses"], "properties": {"uses": {"const": name}}}
    arguments: Schema = {"$ref": f"#/$defs/with.{name}"}
    mapped: Schema = {"propertyNames": {"enum": fields}}
    conditions: list[Schema] = [{"if": is_step, "then": {"properties": {"with": arguments, "expand": mapped}}}]
    required_with: Schema = {"required": required}
    if name == "transform":  # the one choice between keys
        keys = ["sql", "entrypoint"]
        arguments["not"] = {"required": keys}
        required_with["anyOf"] = [{"required": [key]} for key in keys]
    together = {key: others for key, others in _TOGETHER.items() if key in fields}
    if together:
        arguments["dependentRequired"] = together
    if required:
        others = [{"required": [key]} for key in ("expand", "expand_kwargs", "extends")]
        then = {"required": ["with"], "properties": {"with": required_with}}
        conditions.append({"if": {**is_step, "not": {"anyOf": others}}, "then": then})
    return conditions


def _checks() -> Schema:
    """Return the definitions of a list of checks, and of each kind of check."""
    from airflow_wall.checks.backends import CHECKS  # imports the kinds of checks

    definitions: Schema = {}
    for kind, check in CHECKS.items():
        inner = check.model_json_schema(ref_template=f"#/$defs/check.{kind}.{{model}}")
        for key, definition in inner.pop("$defs", {}).items():
            definitions[f"check.{kind}.{key}"] = definition
        definitions[f"check.{kind}"] = inner
    described = {kind: (check.__doc__ or "").strip().splitlines()[0] for kind, check in CHECKS.items()}
    items = {kind: {"description": described[kind], "$ref": f"#/$defs/check.{kind}"} for kind in CHECKS}
    item = {
        "type": "object",
        "properties": items,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {**definitions, "checks": {"type": "array", "minItems": 1, "items": item}}


def _values() -> Schema:
    """Return the definitions of values under `with`: any value, in which keys that begin with `$` are markers."""
    text = {"anyOf": [{"type": "string"}, _MARKER]}
    task = {
        "type": "object",
        "required": ["task"],
        "properties": {"task": {"type": "string"}, "key": {"type": "string"}},
    }
    kinds = {
        "$t": text,
        "$x": {"anyOf": [{"type": "string", "minLength": 1}, {**task, "additionalProperties": False}]},
        "$f": {"type": "string", "pattern": _FILE, "patternErrorMessage": _MESSAGES[_FILE]},
        "$const": {},
        "$import": {"type": "string", "pattern": r"^[\w.]+:\w+$|\$\{\{"},
    }
    same = {"$template": "$t", "$xcom": "$x", "$file": "$f"}
    markers = {key: kinds[same.get(key, key)] for key in MARKERS}
    a_marker = {"type": "object", "anyOf": [{"required": [key]} for key in MARKERS]}
    return {
        "marker": {
            "type": "object",
            "properties": markers,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
        "argument": {
            "if": a_marker,
            "then": _MARKER,
            "else": {
                **_PLAIN,
                "patternErrorMessage": _MESSAGES[_PLAIN["pattern"]],
                "propertyNames": {"not": {"pattern": r"^\$"}},
                "additionalProperties": _ARGUMENT,
                "items": _ARGUMENT,
            },
        },
        "arguments": {
            "type": "object",
            "propertyNames": {"not": {"pattern": r"^\$"}},
            "additionalProperties": _ARGUMENT,
        },
    }


def _overlay(pipeline: Schema) -> Schema:
    """Return the schema of the keys that an environment replaces."""
    properties = {key: value for key, value in pipeline["properties"].items() if key not in NEVER_OVERLAID}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _native() -> Schema:
    """Return the schema of a document in Airflow's own format, of which only the outline is checked here."""
    task = {"type": "object", "propertyNames": {"enum": sorted({*TASK_KEYS, *TASK_ARGUMENTS})}, "required": ["id"]}
    return {
        "required": ["dag_id", "tasks"],
        "propertyNames": {"enum": sorted({*FORMAT_KEYS, *DAG_ARGUMENTS})},
        "properties": {"dag_id": {"type": "string"}, "tasks": {"type": "array", "minItems": 1, "items": task}},
    }


def _file(pipeline: Schema) -> Schema:
    """Return the schema of a pipeline, which is also that of an included file and of a file of checks."""
    shared = {"minProperties": 1, "propertyNames": {"enum": [*SHARED, "include"]}}
    required = pipeline.pop("required")
    checks = {"description": "In a file of checks: the checks.", "$ref": "#/$defs/checks"}
    return {
        **pipeline,
        "properties": {**pipeline["properties"], "checks": checks},
        "if": {"required": ["checks"]},
        "then": {"maxProperties": 1},
        "else": {"if": shared, "then": {}, "else": {"required": required}},
    }


def _completed(node: Any) -> Any:
    """Return the schema with the markers by name, and with a `${{ }}` expression in the place of any value."""
    if isinstance(node, list):
        return [_completed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node == _ANY_MARKER:
        return _MARKER
    result = {key: value if key in ("if", "not") else _completed(value) for key, value in node.items()}
    if isinstance(result.get("properties"), dict) and node.get("type") == "object":
        result["properties"] = {
            name: value if name in _WITHOUT_EXPRESSION else _or_expression(_narrowed(name, value))
            for name, value in result["properties"].items()
        }
    if isinstance(result.get("pattern"), str) and result["pattern"] in _MESSAGES:
        result["patternErrorMessage"] = _MESSAGES[result["pattern"]]
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict) and result[key]:
            result[key] = _or_expression(result[key])
    return result


def _or_expression(node: Any) -> Any:
    if not isinstance(node, dict) or "const" in node or node.get("$ref", "").startswith("#/$defs/check."):
        return node
    if _is_text(node):
        return node
    if "anyOf" in node:
        has_text = any(map(_is_text, node["anyOf"]))
        return node if has_text else {**node, "anyOf": [*node["anyOf"], _EXPRESSION]}
    described = {key: node[key] for key in ("description", "title", "default") if key in node}
    return {**described, "anyOf": [{key: value for key, value in node.items() if key not in described}, _EXPRESSION]}


def _is_text(node: Schema) -> bool:
    """Return True for a schema of any text."""
    return node.get("type") == "string" and not node.keys() & {"pattern", "enum"}


def _narrowed(name: str, node: Any) -> Any:
    """Return the schema of a key with the pattern of its texts."""
    if name not in _TEXTS or not isinstance(node, dict):
        return node
    if _is_text(node):
        return {**node, "pattern": _TEXTS[name], "patternErrorMessage": _MESSAGES[_TEXTS[name]]}
    if "anyOf" in node:
        return {**node, "anyOf": [_narrowed(name, option) for option in node["anyOf"]]}
    return node
