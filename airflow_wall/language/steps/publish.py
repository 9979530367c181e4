"""The step `publish`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from airflow_wall.language.base import Name, SpecModel
from airflow_wall.language.steps.base import TABLE_PACKAGES, External, Key, Step, TargetOnly, Text
from airflow_wall.text.kinds import Plain, Sql, Table


class Destination(SpecModel):
    """One destination of `publish`."""

    to: TargetOnly = Field(description="The target of the rows, e.g. `sql://CONNECTION/TABLE`.")
    where: Sql[str] | None = Field(None, description="A SQL condition for the rows to publish; by default all.")
    key: Key = Field(
        None, validate_default=True, description="Columns that identify a row, e.g. `[id]`; an index needs them."
    )
    format: Plain[Literal["parquet", "csv"]] | None = Field(None, description="For files: their format.")


class Publish(Step):
    """Open a release, stage all rows and commit it, in one task."""

    one_run_at_a_time: ClassVar[bool] = True
    publishes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = TABLE_PACKAGES

    release: Name = Field(description="Name of the release, whose rows clients see all at once.")
    table: Table[Text] = Field(description="The table whose rows are published.")
    to: list[Destination] = Field(min_length=1, description="The destinations.")
    force: Plain[bool] = Field(
        False, description="If true, a run for an older date may show rows that it selects by its date."
    )
    keep: Plain[int] = Field(
        5,
        ge=2,
        le=100,
        description="How many releases keep their rows, with the visible one. `airflow-wall releases rollback` shows "
        "an earlier one again.",
    )
    external: External = False
