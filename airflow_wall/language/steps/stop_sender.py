"""The step `stop_sender`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.steps.base import Step, TaskId


class StopSender(Step):
    """Commit the whole release, or discard the whole release."""

    task_fields: ClassVar[dict[str, str]] = {"release": "start_sender"}
    closes: ClassVar[str | None] = "release"

    release: TaskId | None = Field(None, description="The `start_sender` task; by default the only one there is.")
