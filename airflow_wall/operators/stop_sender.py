"""`StopSenderOperator`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_wall.errors import ReleaseError
from airflow_wall.operators.assets import RELEASE, is_literal
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.release_gate import fail_after_commit, failed_stops_before
from airflow_wall.operators.stage import StageOperator, fence_of
from airflow_wall.operators.start_sender import StartSenderOperator

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context


class StopSenderOperator(StepOperator):
    """
    Commit the release, so that all its parts become visible at once. If a part is missing, roll it back and fail.

    :param release: Id of the `StartSenderOperator` task that opened it.
    """

    commits_release = True
    ui_color = "#f4cccc"

    def __init__(self, *, release: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's id, its rows and its targets."""
        with self.error_context(context):
            starter = self.partner(context, "release", StartSenderOperator)
            parts = self._parts(context["dag"])
            release = self.value_of(starter, "release", context)
        fence = fence_of(context, self.release)
        committed = self.do(context, "stop_sender", release=release, expected=parts, fence=fence)
        fail_after_commit(failed_stops_before(context, starter), release)
        return self.announced(context, committed)

    def announces(self) -> Iterator[str]:
        """Yield the release, if the task that opens it names it."""
        starter = self.dag.task_dict.get(self.release) if self.has_dag() else None
        name = getattr(starter, "release", None) if isinstance(starter, StartSenderOperator) else None
        if is_literal(name):
            yield f"{RELEASE}{name}"

    def _parts(self, dag: DAG) -> list[str]:
        for task in dag.tasks:
            if isinstance(task, MappedOperator) and issubclass(task.operator_class, StageOperator):
                raise ReleaseError(
                    f"task `{task.task_id}` stages rows and must not be mapped: the parts of a release must be known",
                    hint="write one task for each part, in YAML with `matrix`",
                )
        return sorted(t.task_id for t in dag.tasks if isinstance(t, StageOperator) and t.release == self.release)
