"""`airflow-wall schema`: the JSON schema of the language, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.output import out
from airflow_wall.spec.pipeline import Pipeline
from airflow_wall.spec.steps.table import STEPS

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
        output.write_text(text + "\n", encoding="utf-8")


def json_schema() -> dict[str, Any]:
    """The JSON schema, made from the models: each step's `with` is checked by its own block."""
    made = Pipeline.model_json_schema()
    steps = []
    for name, step in STEPS.items():
        inner = step.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for key, definition in inner.pop("$defs", {}).items():
            made["$defs"][f"{name}.{key}"] = definition
        made["$defs"][f"with.{name}"] = inner
        steps.append(
            {
                "if": {"required": ["uses"], "properties": {"uses": {"const": name}}},
                "then": {"properties": {"with": {"$ref": f"#/$defs/with.{name}"}}},
            }
        )
    made["$defs"]["Task"]["allOf"] = steps
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "airflow-wall pipeline"
    return {key: _with_expressions(value) for key, value in made.items()}


def _with_expressions(node: Any) -> Any:
    """Any number, truth value, list or mapping may also be given by one `${{ }}`."""
    if isinstance(node, list):
        return [_with_expressions(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _with_expressions(value) for key, value in node.items()}
    if isinstance(made.get("properties"), dict):
        made["properties"] = {name: _or_expression(value) for name, value in made["properties"].items()}
    return made


def _or_expression(node: Any) -> Any:
    if not isinstance(node, dict) or "const" in node or node.get("type") == "string":
        return node
    described = {key: node[key] for key in ("description", "title", "default") if key in node}
    return {**described, "anyOf": [{key: value for key, value in node.items() if key not in described}, _EXPRESSION]}
