"""The step `collect_metadata`."""

from __future__ import annotations

from pydantic import Field

from airflow_wall.language.steps.base import Step, Text
from airflow_wall.text.kinds import Plain, Table


class CollectMetadata(Step):
    """Write a table with a row for each source and table that the pipelines of a folder name."""

    target: Table[Text] = Field(description="The table to write. Each run writes its own slice.")
    pipelines: Plain[str] = Field(
        ".", description="The folder of the pipelines, below that of this file; by default that of this file."
    )
