"""The step `start_sender`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.base import Name
from airflow_wall.language.steps.base import Step
from airflow_wall.text.kinds import (
    Plain,
)


class StartSender(Step):
    """Open a release. The next steps stage results in it, which clients do not see before it is committed."""

    closed_by: ClassVar[str | None] = "stop_sender"
    one_run_at_a_time: ClassVar[bool] = True

    release: Name = Field(description="Name of the release, whose rows clients see all at once.")
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
