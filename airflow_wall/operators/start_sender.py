"""`StartSenderOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.unstopped import ReleasingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class StartSenderOperator(ReleasingOperator):
    """
    Open a release: from here on results are staged, and clients see none of them.

    :param release: Name of the release: what clients see as one. (templated)
    :param force: Whether a run for an older date may replace a newer release. (templated)
    """

    template_fields: Sequence[str] = ("release", "force")

    def __init__(
        self,
        *,
        release: str,
        force: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.force = force

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release's name and id."""
        self.unstopped(context)
        return self.do(context, "start_sender", release=self.release, force=self.force)
