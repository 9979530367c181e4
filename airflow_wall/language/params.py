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

Params = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": ["string", "number", "boolean", "array", "null"]},
                    {
                        "allOf": [{"$ref": "https://json-schema.org/draft/2020-12/schema"}],
                        "propertyNames": {"enum": list(KEYWORDS)},
                    },
                ]
            },
        }
    ),
    FieldKind.PLAIN,
]
"""Name to a default, or to a JSON schema with `default`."""
