"""`StartSenderOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.release_gate import ReleasingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class StartSenderOperator(ReleasingOperator):
    """
    Open a release. Results are then staged, invisible to clients until the release is committed.

    :param release: Name of the release, whose parts become visible together. (templated)
    :param force: True if a run for an older date may show rows that it selects by its date. (templated)
    :param keep: Number of releases whose rows are kept, with the visible one; at least 2.
    """

    template_fields: Sequence[str] = ("release", "force")

    def __init__(
        self,
        *,
        release: str,
        force: bool = False,
        keep: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.force = force
        self.keep = keep

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's name and id."""
        self.failed_stops(context)
        return self.do(context, "start_sender", release=self.release, force=self.force, keep=self.keep)
