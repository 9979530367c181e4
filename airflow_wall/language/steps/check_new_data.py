"""The step `check_new_data`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_wall.language.base import Duration
from airflow_wall.language.steps.base import OfSource, SourceOrMarker, Step, Text
from airflow_wall.text.kinds import (
    Plain,
)


class CheckNewData(Step):
    """Continue only if there are data that no run has processed yet."""

    source: SourceOrMarker = Field(
        description="The source of data: a folder or file under `storage`, or `sql://CONNECTION/TABLE`."
    )
    cursor: Annotated[Plain[Text] | None, OfSource] = Field(
        None, description="For SQL: the column that grows with every change."
    )
    lag: Annotated[Plain[str | int | float] | None, OfSource] = Field(
        None,
        description="For SQL: how far before the last cursor value each reading begins, for rows that are committed "
        "late: a duration such as `1h` for times, a number for numbers.",
    )
    by: Annotated[Plain[Literal["date"]] | None, OfSource] = Field(
        None, description="`date`: of a folder, only the files that have the date of the run in their name or path."
    )
    wait: Duration | None = Field(None, description="Time to wait for data before the run is skipped; by default none.")
