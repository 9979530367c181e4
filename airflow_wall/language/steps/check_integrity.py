"""The step `check_integrity`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from airflow_wall.language.steps.base import TABLE_PACKAGES, External, Step, Text
from airflow_wall.text.kinds import (
    FieldKind,
    Table,
)


def _text_or_list(value: Any) -> Any:
    if isinstance(value, dict):
        hint = "begin each check with `- `, e.g. `- row_count: {min: 1}`, or name a `.yaml` file"
        raise PydanticCustomError("checks", "must be a list of checks or the path of a file", {"hint": hint})
    return value


class CheckIntegrity(Step):
    """Check a table before it is published. A failed check of severity `error` stops the tasks after it."""

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {"checks": (".yaml", ".yml")}
    checks_rows: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = TABLE_PACKAGES

    table: Table[Text] = Field(description="The table to check.")
    checks: Annotated[Text | list[Any], BeforeValidator(_text_or_list), FieldKind.CHECKS] = Field(
        description="The checks, or the path of a `.yaml` file beside the pipeline."
    )
    gate: Annotated[
        bool,
        Field(
            description="If false, a failed check still fails the task, but it does not decide what is published: no "
            "task must wait for it, and no rows are withheld."
        ),
        FieldKind.PLAIN,
    ] = True
    external: External = False
