"""Python that a pipeline names: functions of its own folder, and classes of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from airflow_wall.diagnostics.patterns import DOTTED_PATTERN, REFERENCE_PATTERN
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
