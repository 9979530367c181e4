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
    Continue only if there are data that no run has processed yet; else skip the downstream tasks.

    The data that a run finds are recorded in the lake, so a cleared run finds the same data.

    :param source: A directory or file in the lake, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, or `sql://CONNECTION/TABLE`.
        (templated)
    :param cursor: For SQL: the column that increases with every change. (templated)
    :param lag: For SQL: how far before the last value of the cursor a reading begins, e.g. `1h` or `1000`. (templated)
    :param by: `date` for only the files whose name has the date of the run. (templated)
    :param wait: Longest wait for data before skipping; by default no wait. The wait occupies no worker.
    :param poll_interval: Time between two checks.
    """

    template_fields: Sequence[str] = ("source", "cursor", "lag", "by")
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        source: str,
        cursor: str | None = None,
        lag: str | float | None = None,
        by: str | None = None,
        wait: timedelta | None = None,
        poll_interval: timedelta = timedelta(minutes=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.cursor = cursor
        self.lag = lag
        self.by = by
        self.wait = wait
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of new source versions, and of those that were processed before."""
        counts = self.do(context, "check_new_data", source=self.source, cursor=self.cursor, lag=self.lag, by=self.by)
        if counts["new"]:
            return counts
        message = f"no new data in `{self.source}`: earlier runs have processed all {counts['processed']} versions"
        if self.wait is not None:
            now = datetime.now(UTC)
            began = context["ti"].get_first_reschedule_date(context) or now
            if now + self.poll_interval <= began + self.wait:
                self.log.info("%s; checking again in %s", message, self.poll_interval)
                self.reschedule(self.poll_interval)
        raise AirflowSkipException(message)
