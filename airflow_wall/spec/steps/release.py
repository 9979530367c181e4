"""The steps that publish: `start_sender`, `persist`, `index`, `submit`, `stop_sender`; and `publish`, all in one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.spec.base import Name, SpecModel
from airflow_wall.spec.steps.base import Step, TaskId, Text


class StartSender(Step):
    """Open a release: from here on results are staged, and clients see none of them."""

    one_run_at_a_time: ClassVar[bool] = True

    release: Name = Field(description="Name of the release: what clients see as one.")
    force: bool = Field(False, description="Whether a run for an older date may replace a newer release.")


class StopSender(Step):
    """Make the release visible as a whole, or take it back as a whole."""

    task_fields: ClassVar[dict[str, str]] = {"release": "start_sender"}
    closes: ClassVar[str | None] = "release"

    release: TaskId | None = Field(None, description="The `start_sender` task; by default the only one there is.")


class _Staged(Step):
    task_fields: ClassVar[dict[str, str]] = {"release": "start_sender"}

    release: TaskId = Field(description="The `start_sender` task whose release it is part of.")
    table: Text = Field(description="The table whose rows are published.")
    where: Text | None = Field(None, description="Which of its rows, as a SQL condition.")
    to: Text = Field(
        description="`sql://CONNECTION/TABLE`, `search://CONNECTION/INDEX`, `files://NAME` or `webhook://CONNECTION`."
    )


class Persist(_Staged):
    """Stage rows for a SQL table or for files."""

    key: list[str] | None = Field(None, description="Columns that tell rows apart.")
    format: Literal["parquet", "csv"] | None = Field(
        None, description="For files: how they are written; default `parquet`."
    )


class Index(_Staged):
    """Stage rows for a full-text index."""

    key: list[str] = Field(min_length=1, description="Columns that tell documents apart.")


class Submit(_Staged):
    """Stage rows for a receiver outside, such as a webhook; it gets them when the release is committed."""

    key: list[str] | None = Field(None, description="Columns that tell rows apart.")


class Destination(SpecModel):
    """One place that `publish` sends to."""

    to: str = Field(min_length=1, description="Where, as in `persist` and `index`.")
    where: str | None = Field(None, description="Which rows, as a SQL condition.")
    key: list[str] | None = Field(None, description="Columns that tell rows apart; an index needs them.")
    format: Literal["parquet", "csv"] | None = Field(None, description="For files: how they are written.")


class Publish(Step):
    """Open a release, stage everything and commit it, in one task."""

    one_run_at_a_time: ClassVar[bool] = True

    release: Name = Field(description="Name of the release: what clients see as one.")
    table: Text = Field(description="The table whose rows are published.")
    to: list[Destination] = Field(min_length=1, description="Where they go.")
    force: bool = Field(False, description="Whether a run for an older date may replace a newer release.")
