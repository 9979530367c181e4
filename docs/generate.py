"""Write `docs/reference/steps.md` from the models of the steps: `make docs`."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.pipeline import Group, Pipeline, Task
from airflow_wall.spec.steps.table import STEPS

TARGET = Path(__file__).parent / "reference" / "steps.md"


def page() -> str:
    """The whole page."""
    parts = [
        "# The language and its steps",
        "Written by `make docs` from the models that check the YAML; `airflow-wall schema` gives the same to editors.",
        "## A pipeline",
        table(Pipeline),
        "## A task",
        table(Task),
        "## A group",
        table(Group),
        "# Steps",
        "What each takes under `with`. Where text is expected, a marker may give it: `{$t: template}`, `{$x: task}`, "
        "`{$f: file}`.",
    ]
    for name, step in STEPS.items():
        parts += [f"## {name}", (step.__doc__ or "").strip(), table(step)]
        for key, info in step.model_fields.items():
            inner = model_in(info.annotation)
            if inner is not None:
                parts += [f"`{key}` holds:", table(inner)]
    return "\n\n".join(parts) + "\n"


def table(model: type[SpecModel]) -> str:
    """The keys of one block."""
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, info in model.model_fields.items():
        key = info.alias or name
        rows.append(f"| `{key}` | {kind(model, key)} | {default_of(info)} | {info.description} |")
    return "\n".join(rows)


def default_of(info: FieldInfo) -> str:
    """A default as YAML shows it; nothing for what is simply absent."""
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    return "" if default in (None, [], {}) else f"`{json.dumps(default).strip(chr(34))}`"


def kind(model: type[SpecModel], key: str) -> str:
    """The type of a key, in the words of YAML."""
    schema = model.model_json_schema()
    return words(schema.get("properties", schema.get("$defs", {}).get(model.__name__, {}).get("properties", {}))[key])


def words(schema: dict[str, Any]) -> str:
    """A JSON schema in few words."""
    if "anyOf" in schema or "oneOf" in schema:
        found = dict.fromkeys(
            words(each) for each in schema.get("anyOf", schema.get("oneOf", [])) if each.get("type") != "null"
        )
        return " or ".join(found)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "mapping"
    if schema.get("examples") and schema.get("type") == "string":
        return f"text such as `{schema['examples'][0]}`"
    names = {
        "string": "text",
        "integer": "integer",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
    }
    return names.get(str(schema.get("type")), "any value")


def model_in(annotation: Any) -> type[SpecModel] | None:
    """The block a field holds, if it holds one."""
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return annotation
    return next((found for inner in typing.get_args(annotation) if (found := model_in(inner)) is not None), None)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
