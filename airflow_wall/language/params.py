"""The params of a run: Airflow's `Param`, which is a JSON schema with a default."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema

from airflow_wall.text.kinds import FieldKind

KEYWORDS = (
    "default", "description", "title", "type", "enum", "const", "examples", "format",
    "deprecated", "readOnly", "writeOnly",
    "pattern", "minLength", "maxLength", "contentEncoding", "contentMediaType",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "dependentRequired", "dependentSchemas",
    "anyOf", "oneOf", "allOf", "not", "if", "then", "else",
    "description_md", "values_display", "section",
)  # fmt: skip
"""Keys of a param: those of JSON schema, then the three of Airflow's form."""

_TYPES = ["string", "number", "integer", "boolean", "array", "object", "null"]
_SCHEMA = {
    "type": "object",
    "propertyNames": {"enum": list(KEYWORDS)},
    "properties": {
        "type": {"anyOf": [{"enum": _TYPES}, {"type": "array", "items": {"enum": _TYPES}, "minItems": 1}]},
        "enum": {"type": "array"},
        "required": {"type": "array", "items": {"type": "string"}},
        "properties": {"type": "object"},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "pattern": {"type": "string"},
        "format": {"type": "string"},
        **{key: {"type": "number"} for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")},
        "multipleOf": {"type": "number", "exclusiveMinimum": 0},
        **{key: {"type": "integer", "minimum": 0} for key in ("minLength", "maxLength", "minItems", "maxItems")},
        "uniqueItems": {"type": "boolean"},
    },
}
"""The schema of a param. It names no schema of another host, which an editor would have to fetch."""

Params = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": ["string", "number", "boolean", "array", "null"]},
                    _SCHEMA,
                ]
            },
        }
    ),
    FieldKind.PLAIN,
]
"""Name to a default, or to a JSON schema with `default`."""
