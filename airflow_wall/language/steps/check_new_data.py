"""The step `check_new_data`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from airflow_wall.language.base import Duration
from airflow_wall.language.steps.base import TABLE_PACKAGES, ByDate, Cursor, Lag, SourceOrMarker, Step


class CheckNewData(Step):
    """Continue only if there are data that no run has processed yet."""

    packages: ClassVar[tuple[str, ...]] = TABLE_PACKAGES

    source: SourceOrMarker = Field(
        description="A folder or file under `storage`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, or `sql://CONNECTION/TABLE`."
    )
    cursor: Cursor = None
    lag: Lag = None
    by: ByDate = None
    wait: Duration | None = Field(None, description="Time to wait for data before the run is skipped; by default none.")
