"""Deadlines of runs, and what is called when a run misses one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from airflow_wall.language.base import Duration, Moment, Positive, SpecModel
from airflow_wall.language.callables import Constructed, many
from airflow_wall.text.kinds import FieldKind, Plain, Variable


class Average(SpecModel):
    """The average length of a run."""

    max_runs: Positive = Field(10, description="Number of the last runs to average over.")
    min_runs: Positive | None = Field(None, description="The fewest runs for an average; by default `max_runs`.")


class AverageRuntime(SpecModel):
    """Count from the run's start plus the average length of a run."""

    average_runtime: Average = Field(description="The runs to average over.")


class FixedDatetime(SpecModel):
    """Count from one moment."""

    fixed_datetime: Moment = Field(description="The moment.")


class VariableSeconds(SpecModel):
    """A length of time that an Airflow variable holds."""

    variable: Variable[str] = Field(min_length=1, description="Name of the variable; it holds seconds.")


def _reference_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, dict):
        return next((f"<{key}>" for key in ("average_runtime", "fixed_datetime") if key in value), "<object>")
    forms = {AverageRuntime: "<average_runtime>", FixedDatetime: "<fixed_datetime>", Constructed: "<object>"}
    return next((form for model, form in forms.items() if isinstance(value, model)), None)


def _interval_form(value: Any) -> str:
    return "<variable>" if isinstance(value, dict | VariableSeconds) else "<duration>"


DeadlineStart = Annotated[
    Annotated[Literal["dagrun_logical_date", "dagrun_queued_at"], Tag("<text>"), FieldKind.PLAIN]
    | Annotated[AverageRuntime, Tag("<average_runtime>")]
    | Annotated[FixedDatetime, Tag("<fixed_datetime>")]
    | Annotated[Constructed, Tag("<object>")],
    Discriminator(_reference_form, "deadline_reference", "must be a moment to count from"),
]

Interval = Annotated[
    Annotated[Duration, Tag("<duration>")] | Annotated[VariableSeconds, Tag("<variable>")],
    Discriminator(_interval_form, "interval", "must be a duration"),
]


class Deadline(SpecModel):
    """One deadline of every run."""

    reference: DeadlineStart = Field(
        "dagrun_queued_at",
        description="Its starting point: `dagrun_queued_at`, `dagrun_logical_date`, `{average_runtime: {...}}`, "
        "`{fixed_datetime: ...}`, or a reference of your own by `uses`.",
    )
    interval: Interval = Field(description="Time from the starting point; `{variable: NAME}` needs Airflow 3.3.")
    callback: Constructed | None = Field(
        None,
        description="Notifier or function to call, by its dotted path; by default the notifications of `notify`.",
    )
    name: Plain[str] | None = Field(None, min_length=1, description="Name in the UI; needs Airflow 3.3.")


Deadlines = Annotated[
    list[Deadline], Field(min_length=1), BeforeValidator(many, json_schema_input_type=Deadline | list[Deadline])
]
"""One deadline, or a list of them."""
