"""The step `ingest`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from airflow_wall.language.base import SpecModel
from airflow_wall.language.steps.base import (
    ByDate,
    Cursor,
    Lag,
    OfSource,
    OnCluster,
    Parameters,
    Share,
    SourceOrMarker,
    Text,
)
from airflow_wall.text.kinds import (
    Plain,
    Table,
)


class Evolve(SpecModel):
    """The changes that a later delivery may bring."""

    new_columns: Plain[bool] = Field(True, description="If false, a delivery with a new column is rejected.")
    wider_types: Plain[bool] = Field(
        True, description="If false, a delivery that needs a wider type, e.g. `double` for `bigint`, is rejected."
    )
    missing_columns: Plain[bool] = Field(
        False, description="If true, a delivery may lack a column that every delivery before it had."
    )


class Ingest(OnCluster):
    """Bring the new data of a source into a table, exactly once."""

    reads_file: ClassVar[dict[str, tuple[str, ...]]] = {"contract": (".yaml", ".yml")}

    source: SourceOrMarker = Field(
        description="A folder or file under `storage`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, or `sql://CONNECTION/TABLE`."
    )
    target: Table[Text] = Field(description="The table they go to, e.g. `bronze/orders`.")
    format: Annotated[Plain[Literal["csv", "tsv", "json", "jsonl", "parquet"]] | None, OfSource] = Field(
        None, description="The format of files; by default by their suffix."
    )
    key: Plain[list[str]] | None = Field(
        None, min_length=1, description="Columns that identify a row. Of a row that comes again, the newest counts."
    )
    order_by: Plain[Text] | None = Field(
        None, description="With `key`: the column that is greater in a newer row; by default a later delivery is newer."
    )
    cursor: Cursor = None
    lag: Lag = None
    options: Annotated[Plain[Parameters] | None, OfSource] = Field(
        None, description="Options of the reader, e.g. `{delim: ';'}` for CSV."
    )
    by: ByDate = None
    contract: Plain[Text | dict[str, Any]] | None = Field(
        None, description="The columns of the table and their types, or a `.yaml` file beside the pipeline with them."
    )
    evolve: Evolve | None = Field(None, description="The changes that a later delivery may bring.")
    bad_rows: Plain[Literal["fail", "quarantine"]] = Field(
        "fail", description="`quarantine` stores bad rows in the table `TARGET_rejected`, and the others in the target."
    )
    max_bad_rows: Plain[int | float] | None = Field(
        None, ge=0, description="The most bad rows of a delivery: a number, or below 1 a share. By default any number."
    )
    share: Share = False
