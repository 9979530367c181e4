"""The step `submit`."""

from __future__ import annotations

from pydantic import Field

from airflow_wall.language.steps.base import Key, Staged


class Submit(Staged):
    """Stage rows for an external receiver, such as a webhook, which gets them when the release is committed."""

    key: Key = Field(None, validate_default=True, description="Columns that identify a row.")
