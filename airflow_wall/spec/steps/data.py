"""The steps that move data: `check_new_data`, `ingest`, `transform`, `check_integrity`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.spec.base import Duration
from airflow_wall.spec.steps.base import OnCluster, Parameters, Step, Text


class CheckNewData(Step):
    """Go on only if there are data that no run has processed yet."""

    source: Text = Field(description="Where data land: a folder or file under `storage`, or `sql://CONNECTION/TABLE`.")
    cursor: Text | None = Field(None, description="For SQL: the column that grows with every change.")
    wait: Duration | None = Field(
        None, description="How long to wait for data before the run is skipped; without it, not at all."
    )


class Ingest(OnCluster):
    """Bring the new data of a source into a table, exactly once."""

    source: Text = Field(description="A folder or file under `storage`, or `sql://CONNECTION/TABLE`.")
    target: Text = Field(description="The table they go to, e.g. `bronze/orders`.")
    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        None, description="How files are written; by default their ending says it."
    )
    cursor: Text | None = Field(None, description="For SQL: the column that grows with every change.")
    options: Parameters | None = Field(None, description="Options of the reader, e.g. `{delim: ';'}` for CSV.")


class Transform(OnCluster):
    """Make a table from tables, by SQL or by a Python function."""

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {"sql": (".sql",)}

    target: Text = Field(description="The table that is made.")
    inputs: dict[str, Text] = Field(
        min_length=1, description="Name in the SQL or function to table, e.g. `{raw: bronze/orders}`."
    )
    sql: Text | None = Field(None, description="A SELECT, or the path of a `.sql` file beside the pipeline.")
    entrypoint: Text | None = Field(
        None, description="A Python function `module:function`, called with one table per input."
    )
    parameters: Parameters | None = Field(None, description="Further arguments of the function.")
    mode: Literal["slice", "full"] = Field(
        "slice",
        description="`slice`: make the rows of this run from the rows of this run. `full`: make the whole table anew.",
    )

    @model_validator(mode="after")
    def _one_source_of_logic(self) -> Transform:
        if (self.sql is None) == (self.entrypoint is None):
            raise PydanticCustomError(
                "one_of",
                "must have either `sql` or `entrypoint`",
                {"hint": "write the one that makes the table, and only that"},
            )
        return self


def _text_or_list(value: Any) -> Any:
    if isinstance(value, dict):
        hint = "begin each check with `- `, e.g. `- row_count: {min: 1}`, or name a `.yaml` file"
        raise PydanticCustomError("checks", "must be a list of checks or the path of a file", {"hint": hint})
    return value


class CheckIntegrity(Step):
    """Check this run's rows of a table; a failed check of severity `error` stops what comes after."""

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {"checks": (".yaml", ".yml")}

    table: Text = Field(description="The table to check.")
    checks: Annotated[Text | list[Any], BeforeValidator(_text_or_list)] = Field(
        description="The checks, or the path of a `.yaml` file beside the pipeline."
    )
