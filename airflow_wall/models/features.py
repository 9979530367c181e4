"""The input of a model: its feature columns with their types, as Arrow tables and DataFrames."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airflow_wall.diagnostics.suggestions import listed, nearest
from airflow_wall.errors import ModelError
from airflow_wall.models.base import Feature, ModelRecord

_SHOWN = 8


def family(type_: pa.DataType | str) -> str:
    """Return the kind of a type for a model: `number`, `boolean`, `text`, `time`, else the type's own name."""
    name = str(type_)
    if name.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    if name.startswith(("timestamp", "date", "time")):
        return "time"
    if name.startswith("dictionary"):
        return "text" if "string" in name else name
    return {"bool": "boolean", "string": "text", "large_string": "text", "string_view": "text"}.get(name, name)


def features_of(schema: pa.Schema, names: Sequence[str]) -> tuple[Feature, ...]:
    """Return columns with their types. All of them must be in `schema`."""
    return tuple(Feature(name, str(schema.field(name).type)) for name in names)


def check_fit(record: ModelRecord, schema: pa.Schema, where: str) -> None:
    """
    Check that rows have every feature of a model, in the kind of type it was trained on.

    :param where: The rows, for messages, e.g. "`inputs.features` (`silver/*`)".
    :raises ModelError: columns are missing or have another kind of type; the message names all of them.
    """
    names = set(schema.names)
    missing = [feature.name for feature in record.features if feature.name not in names]
    changed = [
        f"`{feature.name}` is `{schema.field(feature.name).type}` (was `{feature.type}`)"
        for feature in record.features
        if feature.name in names and family(schema.field(feature.name).type) not in (family(feature.type), "null")
    ]
    if not missing and not changed:
        return
    parts = []
    if missing:
        parts.append(f"has no column {listed(missing)}")
    if changed:
        parts.append(f"has columns of another type: {', '.join(changed[:_SHOWN])}")
    renamed = next((f"; was `{name}` renamed to `{near}`?" for name in missing if (near := nearest(name, names))), "")
    raise ModelError(
        f"{where} does not fit version {record.version} of model `{record.name}`: it {' and '.join(parts)}",
        hint=f"correct the columns in the step that writes them, or run retrain on the new ones{renamed}",
    )


def check_values(record: ModelRecord, empty: Collection[str], where: str) -> None:
    """
    Check that no feature is without values that had values when a model was trained.

    Some libraries score such rows without a word, as if every value were missing.

    :param empty: Columns of the rows that have no value.
    :param where: The rows, for messages.
    :raises ModelError: there are such features; the message names all of them.
    """
    lost = [feature.name for feature in record.features if feature.name in empty and feature.name in record.training]
    if lost:
        raise ModelError(
            f"{where} does not fit version {record.version} of model `{record.name}`: it has only nulls in "
            f"{listed(lost)}, which had values when the model was trained",
            hint="correct the step that writes the column, or train a model without this feature",
        )


def empty_columns(rows: pa.Table) -> set[str]:
    """Return the columns without a value: only nulls, or only NaN. Rows without any row have none."""
    return {
        name
        for name in rows.column_names
        if rows.num_rows and pc.all(pc.is_null(rows.column(name), nan_is_null=True)).as_py()
    }


def empty_columns_of_files(paths: Sequence[Path]) -> set[str]:
    """Return the columns with only nulls in Parquet files, as far as their statistics know. No row is read."""
    total, nulls = 0, collections.Counter[str]()
    for path in paths:
        metadata = pq.read_metadata(path)
        total += metadata.num_rows
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                known = None if column.statistics is None else column.statistics.null_count
                nulls[column.path_in_schema] += known or 0
    return {name for name, count in nulls.items() if count == total} if total else set()


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as a DataFrame. Decimals become floats, because estimators cannot read `decimal.Decimal`."""
    fields = [pa.field(f.name, pa.float64()) if pa.types.is_decimal(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields)).to_pandas()


def target_of(rows: pa.Table, target: str, where: str) -> NDArray[np.float64]:
    """
    Return the target as floats, shape (rows,), with NaN for null.

    :raises ModelError: the column is neither a number nor a boolean.
    """
    column = rows.column(target)
    if family(column.type) not in ("number", "boolean"):
        raise ModelError(
            f"the target `{target}` of {where} must be a number, got `{column.type}`",
            hint="convert it in the step that writes it",
        )
    values = column.cast(pa.float64()) if family(column.type) == "number" else column.cast(pa.int8()).cast(pa.float64())
    return np.asarray(values.to_numpy(), dtype=np.float64)
