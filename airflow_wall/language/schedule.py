"""The schedule of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, Tag

from airflow_wall.language import words
from airflow_wall.language.assets import AssetCondition
from airflow_wall.language.base import SpecModel
from airflow_wall.language.callables import Constructed, many
from airflow_wall.text.kinds import FieldKind, Plain


class AssetSchedule(SpecModel):
    """Run when assets are new, and at fixed times too if `cron` is set."""

    refused: ClassVar[Mapping[str, str]] = words.SCHEDULE

    assets: Annotated[
        list[AssetCondition],
        Field(min_length=1),
        BeforeValidator(many, json_schema_input_type=AssetCondition | list[AssetCondition]),
    ] = Field(description="The assets; of a list, all must be new. `{or: [...]}` and `{and: [...]}` may be nested.")
    cron: Plain[str] | None = Field(
        None, description="A cron expression or a preset such as `@daily`: it also runs then, assets or not."
    )


_ASSETS = frozenset(("assets", "asset", "datasets", "dataset"))
_OTHER_FORMS = frozenset(("cron", "__type__", "timetable", "interval", "every", "preset", "__or__", "__and__"))
"""Keys of other tools that say what a schedule is."""


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, Constructed) or (isinstance(value, dict) and ("uses" in value or "with" in value)):
        return "<object>"
    if isinstance(value, dict) and value.keys().isdisjoint(_ASSETS) and not value.keys().isdisjoint(_OTHER_FORMS):
        return None
    return "<assets>" if isinstance(value, dict | AssetSchedule) else None


Schedule = Annotated[
    Annotated[str, Tag("<text>"), FieldKind.PLAIN]
    | Annotated[AssetSchedule, Tag("<assets>")]
    | Annotated[Constructed, Tag("<object>")],
    Discriminator(_form, "schedule", "must be a cron expression, a preset, a duration, assets or a timetable"),
]
"""A cron expression, a preset, a duration, assets, or the timetable that a `uses` and `with` make."""
