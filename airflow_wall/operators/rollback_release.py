"""`RollbackReleaseOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RollbackReleaseOperator(StepOperator):
    """
    Show an earlier release again, in all of its targets.

    It does the work of `airflow-wall releases rollback` in a worker. A button can start it: a DAG run with `conf`.

    :param release: The name of the release. (templated)
    :param version: The release to show again, e.g. `shop-20130701T000000Z`. (templated)
    :param reason: The reason, for the record in the lake. (templated)
    :param resend: Send the old rows as a new release to targets that cannot take rows back, such as webhooks.
    """

    ui_color = "#f4cccc"
    template_fields: Sequence[str] = ("release", "version", "reason")

    def __init__(self, *, release: str, version: str, reason: str, resend: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.release = release
        self.reason = reason
        self.version = version
        self.resend = resend

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release that clients see, and those that are rolled back."""
        return self.do(
            context,
            "rollback_release",
            release=self.release,
            reason=self.reason,
            version=self.version,
            resend=self.resend,
        )
