"""`airflow-wall schema`: the JSON schema of the language, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.output import out, write_file
from airflow_wall.language.pipeline import Pipeline
from airflow_wall.language.step_registry import STEPS

_EXPRESSION = {"type": "string", "pattern": r"\$\{\{.*\}\}"}


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of the terminal.")
    ] = None,
) -> None:
    """
    Print the JSON schema of pipeline files.

    Editors complete and check with it: put `# yaml-language-server: $schema=PATH` into the first line of a pipeline.
    """
    text = json.dumps(json_schema(), indent=2)
    if output is None:
        out().print(text)
    else:
        write_file(output, f"{text}\n")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the models. Each step's `with` has its own definition."""
    schema = Pipeline.model_json_schema()
    steps = []
    for name, step in STEPS.items():
        inner = step.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for key, definition in inner.pop("$defs", {}).items():
            schema["$defs"][f"{name}.{key}"] = definition
        schema["$defs"][f"with.{name}"] = inner
        steps.append(
            {
                "if": {"required": ["uses"], "properties": {"uses": {"const": name}}},
                "then": {"properties": {"with": {"$ref": f"#/$defs/with.{name}"}}},
            }
        )
    schema["$defs"]["Task"]["allOf"] = steps
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "airflow-wall pipeline"
    return {key: _with_expressions(value) for key, value in schema.items()}


def _with_expressions(node: Any) -> Any:
    """Return the schema, with a `${{ }}` expression allowed in place of any number, boolean, list or mapping."""
    if isinstance(node, list):
        return [_with_expressions(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _with_expressions(value) for key, value in node.items()}
    if isinstance(result.get("properties"), dict):
        result["properties"] = {name: _or_expression(value) for name, value in result["properties"].items()}
    return result


def _or_expression(node: Any) -> Any:
    if not isinstance(node, dict) or "const" in node or node.get("type") == "string":
        return node
    described = {key: node[key] for key in ("description", "title", "default") if key in node}
    return {**described, "anyOf": [{key: value for key, value in node.items() if key not in described}, _EXPRESSION]}
