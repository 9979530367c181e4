"""`StopSenderOperator`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.errors import ReleaseError
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.stage import StageOperator, fence_of
from airflow_wall.operators.start_sender import StartSenderOperator
from airflow_wall.operators.unstopped import fail_for, left_by

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context


class StopSenderOperator(StepOperator):
    """
    Make the release visible as a whole; or, if any part of it is missing, take it back as a whole and fail.

    :param release: Id of the `StartSenderOperator` task that opened it.
    """

    ui_color = "#f4cccc"

    def __init__(self, *, release: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's id, its rows and its targets."""
        with self.told(context):
            starter = self.partner(context, "release", StartSenderOperator)
            parts = self._parts(context["dag"])
            release = self.value_of(starter, "release", context)
        fence = fence_of(context, self.release)
        committed = self.do(context, "stop_sender", release=release, expected=parts, fence=fence)
        fail_for(left_by(context, starter), release)
        return committed

    def _parts(self, dag: DAG) -> list[str]:
        for task in dag.tasks:
            if isinstance(task, MappedOperator) and issubclass(task.operator_class, StageOperator):
                raise ReleaseError(
                    f"`{task.task_id}` is mapped, and what it staged cannot be told from what it did not",
                    hint="make a task for each part, in YAML by a `matrix`",
                )
        return sorted(t.task_id for t in dag.tasks if isinstance(t, StageOperator) and t.release == self.release)
