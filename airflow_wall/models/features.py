"""The input of a model: its feature columns with their types, as Arrow tables and DataFrames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
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
