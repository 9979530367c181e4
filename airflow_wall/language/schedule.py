"""The schedule of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from airflow_wall.language import words
from airflow_wall.language.assets import AssetCondition
from airflow_wall.language.base import SpecModel
from airflow_wall.language.callables import Constructed, many
from airflow_wall.text.durations import DURATION_PATTERN
from airflow_wall.text.kinds import FieldKind


def _field(number: str) -> str:
    one = rf"(\*|({number})(-({number}))?)(/\d+)?"
    return rf"{one}(,{one})*"


_CRON = " +".join(
    map(
        _field,
        (
            r"[0-5]?\d",
            r"[01]?\d|2[0-3]",
            r"0?[1-9]|[12]\d|3[01]|[Ll]",
            r"0?[1-9]|1[0-2]|[A-Za-z]{3}",
            r"[Ll]?[0-7]|[A-Za-z]{3}|([0-7]|[A-Za-z]{3})#[1-5]",
        ),
    )
)
_PRESETS = "hourly|daily|weekly|monthly|quarterly|yearly"
SCHEDULE_PATTERN = rf"^ *({_CRON}|@({_PRESETS}|once|continuous)) *$|{DURATION_PATTERN}"
CRON_PATTERN = rf"^ *({_CRON}|@({_PRESETS})) *$"
"""Texts of schedules, for the JSON schema."""


class AssetSchedule(SpecModel):
    """Run when assets are new, and at fixed times too if `cron` is set."""

    refused: ClassVar[Mapping[str, str]] = words.SCHEDULE

    assets: Annotated[
        list[AssetCondition],
        Field(min_length=1),
        BeforeValidator(many, json_schema_input_type=AssetCondition | list[AssetCondition]),
    ] = Field(description="The assets; of a list, all must be new. `{or: [...]}` and `{and: [...]}` may be nested.")
    cron: Annotated[str, WithJsonSchema({"type": "string", "pattern": CRON_PATTERN}), FieldKind.PLAIN] | None = Field(
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
    Annotated[str, Tag("<text>"), FieldKind.PLAIN, WithJsonSchema({"type": "string", "pattern": SCHEDULE_PATTERN})]
    | Annotated[AssetSchedule, Tag("<assets>")]
    | Annotated[Constructed, Tag("<object>")],
    Discriminator(_form, "schedule", "must be a cron expression, a preset, a duration, assets or a timetable"),
]
"""A cron expression, a preset, a duration, assets, or the timetable that a `uses` and `with` make."""
