"""Rows as a model reads them: which columns, of which kind, in which order."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Feature, Record
from airflow_wall.text.faults import listed

_SHOWN = 8


def family(type_: pa.DataType | str) -> str:
    """`number`, `boolean`, `text`, `time` or the type's own name: what a model can tell apart."""
    name = str(type_)
    if name.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    if name.startswith(("timestamp", "date", "time")):
        return "time"
    if name.startswith("dictionary"):
        return "text" if "string" in name else name
    return {"bool": "boolean", "string": "text", "large_string": "text", "string_view": "text"}.get(name, name)


def described(schema: pa.Schema, names: Sequence[str]) -> tuple[Feature, ...]:
    """The named columns with their types. All of them are in `schema`."""
    return tuple(Feature(name, str(schema.field(name).type)) for name in names)


def check_fit(record: Record, schema: pa.Schema, where: str) -> None:
    """
    Make sure that rows have every feature of a model, of the kind it was trained on.

    :param where: What the rows are, for the message, e.g. "`inputs.features` (`silver/*`)".
    :raises ModelError: naming every column that is missing or of another kind.
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
    near = {name: match for name in missing if (match := difflib.get_close_matches(name, names, n=1))}
    renamed = "".join(f"; is `{match[0]}` what was `{name}`?" for name, match in list(near.items())[:1])
    raise ModelError(
        f"{where} does not fit version {record.version} of model `{record.name}`: it {' and '.join(parts)}",
        hint=f"mend the columns in the step that writes them, or run retrain on the new ones{renamed}",
    )


def frame(rows: pa.Table) -> pd.DataFrame:
    """Rows as a DataFrame. Decimals become floats: no estimator reads `decimal.Decimal`."""
    fields = [pa.field(f.name, pa.float64()) if pa.types.is_decimal(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields)).to_pandas()


def target_of(rows: pa.Table, target: str, where: str) -> NDArray[np.float64]:
    """
    The target as floats, shape (rows,), NaN where it is null.

    :raises ModelError: it is neither a number nor a boolean.
    """
    column = rows.column(target)
    if family(column.type) not in ("number", "boolean"):
        raise ModelError(
            f"the target `{target}` of {where} must be a number, and is `{column.type}`",
            hint="convert it in the step that writes it",
        )
    values = column.cast(pa.float64()) if family(column.type) == "number" else column.cast(pa.int8()).cast(pa.float64())
    return np.asarray(values.to_numpy(), dtype=np.float64)
