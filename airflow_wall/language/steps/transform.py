"""The step `transform`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.language.steps.base import Input, OnCluster, Parameters, Share, Text
from airflow_wall.text.kinds import (
    Code,
    Plain,
    Sql,
    Table,
)


class Transform(OnCluster):
    """Build a table from tables, by SQL or by a Python function."""

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {"sql": (".sql",)}

    target: Table[Text] = Field(description="The table to build.")
    inputs: dict[str, Input] = Field(
        min_length=1, description="Name in the SQL or function to table, e.g. `{raw: bronze/orders}`."
    )
    sql: Sql[Text] | None = Field(None, description="A SELECT, or the path of a `.sql` file beside the pipeline.")
    entrypoint: Code[Text] | None = Field(
        None, description="A Python function `module:function`, called with one table per input."
    )
    parameters: Plain[Parameters] | None = Field(None, description="Further arguments of the function.")
    mode: Plain[Literal["slice", "full"]] = Field(
        "slice",
        description="`slice`: build the rows of this run from the rows of this run. `full`: rebuild the whole table.",
    )

    share: Share = False

    @model_validator(mode="after")
    def _one_source_of_logic(self) -> Transform:
        if (self.sql is None) == (self.entrypoint is None):
            raise PydanticCustomError(
                "one_of",
                "must have either `sql` or `entrypoint`",
                {"hint": "write the one that builds the table, and remove the other"},
            )
        return self
