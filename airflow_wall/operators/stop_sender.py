"""`StopSenderOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.stage import StageOperator, fence_of
from airflow_wall.operators.start_sender import StartSenderOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class StopSenderOperator(StepOperator):
    """
    Make the release visible as a whole; or, if any part of it is missing, take it back as a whole and fail.

    :param release: Id of the `StartSenderOperator` task that opened it. (templated)
    """

    template_fields: Sequence[str] = ("release",)
    ui_color = "#f4cccc"

    def __init__(self, *, release: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's id, its rows and its targets."""
        starter = self.partner(self.release)
        assert isinstance(starter, StartSenderOperator)
        parts = [
            task.task_id
            for task in context["dag"].tasks
            if isinstance(task, StageOperator) and task.release == self.release
        ]
        return self.do(
            context,
            "stop_sender",
            release=self.value_of(starter, "release", context),
            expected=sorted(parts),
            fence=fence_of(context, self.release),
        )
