"""`PublishOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.unstopped import ReleasingOperator, fail_for

if TYPE_CHECKING:
    from airflow.sdk import Context


class PublishOperator(ReleasingOperator):
    """
    Open a release, stage a table for every destination and commit it, in one task.

    :param release: Name of the release: what clients see as one. (templated)
    :param table: The table whose rows are published. (templated)
    :param to: Destinations, each with `to`, and where it needs them `where`, `key` and `format`. (templated)
    :param force: Whether a run for an older date may replace a newer release. (templated)
    """

    template_fields: Sequence[str] = ("release", "table", "to", "force")
    ui_color = "#d9e2f3"

    def __init__(
        self, *, release: str, table: str, to: Sequence[Mapping[str, Any]], force: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.table = table
        self.to = to
        self.force = force

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's id, its rows and its targets."""
        left = self.unstopped(context)
        parts = {f"{self.task_id}.{number}": destination for number, destination in enumerate(self.to, start=1)}
        fence = self.do(context, "start_sender", release=self.release, force=self.force)["fence"]
        try:
            for part, destination in parts.items():
                self.do(context, "stage", release=self.release, part=part, table=self.table, fence=fence, **destination)
        except BaseException:
            # Closing with parts missing takes the release back; what went wrong first is what is told.
            self._take_back(context, sorted(parts))
            raise
        committed = self.do(context, "stop_sender", release=self.release, expected=sorted(parts), fence=fence)
        fail_for(left, self.release)
        return committed

    def _take_back(self, context: Context, expected: list[str]) -> None:
        try:
            self.do(context, "stop_sender", release=self.release, expected=expected)
        except Exception as error:
            self.log.info("the release was taken back: %s", error)
