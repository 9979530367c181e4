"""The step `persist`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_wall.language.steps.base import Key, Staged
from airflow_wall.text.kinds import Plain


class Persist(Staged):
    """Stage rows for a SQL table or for files."""

    key: Key = Field(None, validate_default=True, description="Columns that identify a row.")
    format: Plain[Literal["parquet", "csv"]] | None = Field(
        None, description="For files: their format; by default `parquet`."
    )
