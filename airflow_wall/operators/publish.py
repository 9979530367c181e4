"""`PublishOperator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.assets import RELEASE, is_literal
from airflow_wall.operators.release_gate import ReleasingOperator, fail_after_commit
from airflow_wall.operators.table_order import checkers_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class PublishOperator(ReleasingOperator):
    """
    Open a release, stage a table for every destination and commit it, in one task.

    :param release: Name of the release, whose parts become visible together. (templated)
    :param table: The table whose rows are published. (templated)
    :param to: Destinations, each with `to` and, if needed, `where`, `key` and `format`. (templated)
    :param force: True if a run for an older date may show rows that it selects by its date. (templated)
    :param keep: Number of releases whose rows are kept, with the visible one; at least 2.
    :param external: True if the rows come from elsewhere or from an earlier run.
    """

    template_fields: Sequence[str] = ("release", "table", "to", "force")
    commits_release = True
    publishes_table = True
    ui_color = "#d9e2f3"

    def __init__(
        self,
        *,
        release: str,
        table: str,
        to: Sequence[Mapping[str, Any]],
        force: bool = False,
        keep: int = 5,
        external: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.table = table
        self.to = to
        self.force = force
        self.keep = keep
        self.external = external

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's id, its rows and its targets."""
        failed_stops = self.failed_stops(context)
        parts = {f"{self.task_id}.{number}": destination for number, destination in enumerate(self.to, start=1)}
        fence = self.do(context, "start_sender", release=self.release, force=self.force, keep=self.keep)["fence"]
        try:
            for part, destination in parts.items():
                arguments = {"release": self.release, "part": part, "table": self.table, "fence": fence}
                self.do(context, "stage", **arguments, **destination, **checkers_of(context["dag"], self.table))
        except BaseException:
            # Closing with missing parts rolls the release back. The first error is the one to report.
            self._roll_back(context, sorted(parts))
            raise
        committed = self.do(context, "stop_sender", release=self.release, expected=sorted(parts), fence=fence)
        fail_after_commit(failed_stops, self.release)
        return self.announced(context, committed)

    def announces(self) -> Iterator[str]:
        """Yield the release."""
        if is_literal(self.release):
            yield f"{RELEASE}{self.release}"

    def _roll_back(self, context: Context, expected: list[str]) -> None:
        try:
            self.do(context, "stop_sender", release=self.release, expected=expected)
        except Exception as error:
            self.log.info("the release was rolled back: %s", error)
