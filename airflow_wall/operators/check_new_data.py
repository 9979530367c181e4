"""`CheckNewDataOperator`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_wall.operators.base import PatientOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckNewDataOperator(PatientOperator):
    """
    Go on only if there are data that no run has processed yet; else skip what comes after.

    What a run finds is kept with the data: a cleared run finds the same again.

    :param source: A folder or file under the storage, or `sql://CONNECTION/TABLE`. (templated)
    :param cursor: For SQL: the column that grows with every change. (templated)
    :param wait: How long to wait for data before skipping; by default not at all. No worker is held meanwhile.
    :param poll_interval: How long between two looks.
    """

    template_fields: Sequence[str] = ("source", "cursor")
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        source: str,
        cursor: str | None = None,
        wait: timedelta | None = None,
        poll_interval: timedelta = timedelta(minutes=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.cursor = cursor
        self.wait = wait
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any]:
        """Return how many source versions are new, and how many were processed before."""
        found = self.do(context, "check_new_data", source=self.source, cursor=self.cursor)
        if found["new"]:
            return found
        message = f"no new data in `{self.source}`: all {found['processed']} found there were processed by earlier runs"
        if self.wait is not None:
            now = datetime.now(UTC)
            began = context["ti"].get_first_reschedule_date(context) or now
            if now + self.poll_interval <= began + self.wait:
                self.log.info("%s; looking again in %s", message, self.poll_interval)
                self.look_again(self.poll_interval)
        raise AirflowSkipException(message)
