"""Python that a pipeline names: functions of its own folder, and classes of installed packages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from airflow_wall.spec.base import SpecModel

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
REFERENCE_PATTERN = rf"^{_WORD}(\.{_WORD})*:{_WORD}$"
DOTTED_PATTERN = rf"^{_WORD}(\.{_WORD})+$"

Reference = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]
"""`module:name` of a Python file beside the pipeline."""

Dotted = Annotated[str, StringConstraints(pattern=DOTTED_PATTERN)]
"""`package.module.Class` of an installed package."""


class Constructed(SpecModel):
    """An object of a class that some package has."""

    uses: Dotted = Field(description="The class by its dotted path, `package.module.Class`.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Arguments of the class.")


def _form(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<object>" if isinstance(value, dict | Constructed) else None


def many(value: Any) -> Any:
    """One thing as a list of one."""
    return value if value is None or isinstance(value, list) else [value]


Callback = Annotated[
    Annotated[Reference, Tag("<text>")] | Annotated[Constructed, Tag("<object>")],
    Discriminator(_form, "callback", "must be a function or a notifier"),
]
"""What is called with Airflow's context when something has happened."""

Callbacks = Annotated[list[Callback], BeforeValidator(many, json_schema_input_type=Callback | list[Callback])]
"""One callback, or a list of them."""
