"""The step `index`."""

from __future__ import annotations

from pydantic import Field

from airflow_wall.language.steps.base import Staged
from airflow_wall.text.kinds import (
    Plain,
)


class Index(Staged):
    """Stage rows for a full-text index."""

    key: Plain[list[str]] = Field(min_length=1, description="Columns that identify a document.")
