"""The input of a model: its feature columns with their types, as Arrow tables and DataFrames."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from airflow_wall.diagnostics.suggestions import listed, nearest
from airflow_wall.errors import ModelError
from airflow_wall.models.base import Feature, ModelRecord

_SHOWN = 8

_INTEGER = re.compile(r"(u?)int(\d+)")
_DECIMAL = re.compile(r"decimal\d+\((\d+), (-?\d+)\)")
_FLOATS = ("halffloat", "float", "double")
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
"""Bits of an integer -> its most digits."""


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


def widens(old: str, new: str) -> bool:
    """
    Return True if each value of the type `old` is one of the type `new`.

    A `double` counts as wider than every number, and a timestamp as wider than a date, as in contracts.
    """
    if old == new or family(old) != family(new) or family(old) not in ("number", "time"):
        return family(old) == family(new)
    if family(old) == "time":
        return new.startswith("timestamp") and (old.startswith("date") or ("tz=" in old) == ("tz=" in new))
    if new == "double" or (old in _FLOATS and new in _FLOATS):
        return new == "double" or _FLOATS.index(new) >= _FLOATS.index(old)
    before, after = _INTEGER.fullmatch(old), _INTEGER.fullmatch(new)
    decimal = _DECIMAL.fullmatch(new)
    if before and after:
        spare = int(after[2]) - int(before[2])
        return spare >= 0 if before[1] == after[1] else spare > 0 and not after[1]
    if before and decimal:
        return int(decimal[1]) - int(decimal[2]) >= _DIGITS[int(before[2])]
    if before:
        return new == "float" and int(before[2]) <= 16
    given = _DECIMAL.fullmatch(old)
    if given and decimal:
        whole = [int(parts[1]) - int(parts[2]) for parts in (given, decimal)]
        return int(decimal[2]) >= int(given[2]) and whole[1] >= whole[0]
    return False


def features_of(schema: pa.Schema, names: Sequence[str]) -> tuple[Feature, ...]:
    """Return columns with their types. All of them must be in `schema`."""
    return tuple(Feature(name, str(schema.field(name).type)) for name in names)


def check_fit(record: ModelRecord, schema: pa.Schema, where: str, accepted: Collection[str] = ()) -> None:
    """
    Check that rows have every feature of a model, in the type it was trained on or a wider one.

    :param where: The rows, for messages, e.g. "`inputs.features` (`silver/*`)".
    :param accepted: Features that may differ.
    :raises ModelError: columns are missing or have another type; the message names all of them.
    """
    names = set(schema.names)
    features = [feature for feature in record.features if feature.name not in accepted]
    missing = [feature.name for feature in features if feature.name not in names]
    changed = [
        f"`{feature.name}` is `{schema.field(feature.name).type}` (was `{feature.type}`)"
        for feature in features
        if feature.name in names and not _accepts(feature.type, schema.field(feature.name).type)
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


def _accepts(old: str, new: pa.DataType) -> bool:
    return pa.types.is_null(new) or widens(old, str(new))


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as a DataFrame. Decimals become floats, because estimators cannot read `decimal.Decimal`."""
    fields = [pa.field(f.name, pa.float64()) if pa.types.is_decimal(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields)).to_pandas()


def with_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a DataFrame whose text columns are categories, as libraries of boosted trees read them."""
    text = [name for name in frame if pd.api.types.is_string_dtype(frame[name]) or frame[name].dtype == object]
    return frame.astype(dict.fromkeys(text, "category"))


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
