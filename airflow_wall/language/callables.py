"""Python that a pipeline names: functions of its own folder, and classes of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from airflow_wall.diagnostics.patterns import DOTTED_PATTERN, REFERENCE_PATTERN, WORD_PATTERN
from airflow_wall.language import words
from airflow_wall.language.base import SpecModel, WithoutAddresses
from airflow_wall.text.kinds import Arguments, FieldKind

Reference = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN), FieldKind.CODE]
"""`module:name` of a Python file beside the pipeline."""

Dotted = Annotated[str, StringConstraints(pattern=DOTTED_PATTERN), FieldKind.CLASS]
"""`package.module.Class` of an installed package."""


class Constructed(SpecModel):
    """An object of a class of an installed package."""

    refused: ClassVar[Mapping[str, str]] = words.CONSTRUCTED

    uses: Dotted = Field(description="The class by its dotted path, `package.module.Class`.")
    with_: Arguments[WithoutAddresses[dict[str, Any]]] = Field(
        default_factory=dict, alias="with", description="Arguments of the class."
    )


def _imported(value: Any) -> Any:
    value = value["$import"] if isinstance(value, dict) and value.keys() == {"$import"} else value
    if not isinstance(value, str):
        hint = "write e.g. `double: helpers:double`, and define it in `helpers.py`"
        raise PydanticCustomError("macro", "must be `module:name` of a Python file beside the pipeline", {"hint": hint})
    return value


Macros = dict[
    Annotated[str, StringConstraints(pattern=WORD_PATTERN)],
    Annotated[
        Reference,
        BeforeValidator(
            _imported,
            json_schema_input_type=Reference | dict[Literal["$import"], Reference],
        ),
    ],
]
"""Names in templates to objects of Python beside the pipeline: `module:name`, or `{$import: "module:name"}`."""


def _form(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<object>" if isinstance(value, dict | Constructed) else None


def many(value: Any) -> Any:
    """Return a single value as a list of one."""
    return value if value is None or isinstance(value, list) else [value]


Callback = Annotated[
    Annotated[Reference, Tag("<text>")] | Annotated[Constructed, Tag("<object>")],
    Discriminator(_form, "callback", "must be a function or a notifier"),
]
"""A function or notifier that is called with Airflow's context after an event."""

Callbacks = Annotated[list[Callback], BeforeValidator(many, json_schema_input_type=Callback | list[Callback])]
"""One callback, or a list of them."""
