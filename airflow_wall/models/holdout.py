"""
Split rows into training rows and held-out rows, which the training function never sees.

Rows with a time are split by time: a model that predicts tomorrow must not be evaluated on days between its training
days. Rows of the same time stay together. Other rows are split by a hash of the row, which selects the same rows in
every process and try.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.errors import DataError, ModelError
from airflow_wall.models.base import Window
from airflow_wall.models.features import family

_KEYS = ("by", "fraction")


@dataclass(frozen=True)
class Split:
    """
    Training rows and held-out rows.

    :param training: Input -> its rows for the training function.
    :param held_out: Rows of the first input that the function does not get.
    """

    training: dict[str, pa.Table]
    held_out: pa.Table
    window: Window


def split(inputs: Mapping[str, pa.Table], holdout: Mapping[str, Any] | None) -> Split:
    """
    Split the first input. If its rows have a time, later rows of the other inputs are held out too.

    :param holdout: `by`: the column that splits (default: the first column of times, else the whole row);
        `fraction`: the fraction of rows to hold out (default 0.2).
    :raises ModelError: `holdout` has an unknown key or an invalid value.
    :raises DataError: no rows would be left to train on or to evaluate on.
    """
    by, fraction = _read(holdout)
    name, rows = next(iter(inputs.items()))
    if by is None:
        by = next((field.name for field in rows.schema if _is_time(field.type)), None)
    elif by not in rows.schema.names:
        raise ModelError(
            f"`holdout.by` must be a column of `inputs.{name}`, got `{by}`",
            hint=f"its columns are {listed(rows.schema.names)}",
        )
    if by is not None and family(rows.schema.field(by).type) in ("time", "number"):
        return _by_order(inputs, name, by, fraction)
    return _by_hash(inputs, name, by, fraction)


def _read(holdout: Mapping[str, Any] | None) -> tuple[str | None, float]:
    holdout = holdout or {}
    if unknown := [key for key in holdout if key not in _KEYS]:
        raise ModelError(f"`holdout` has no key `{unknown[0]}`", hint=suggestion(unknown[0], _KEYS, what="keys"))
    by, fraction = holdout.get("by"), holdout.get("fraction", 0.2)
    if by is not None and not isinstance(by, str):
        raise ModelError(f"`holdout.by` must be the name of a column, got `{by}`", hint="write, e.g., `by: created_at`")
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ModelError(
            f"`holdout.fraction` must be a number between 0 and 1, got `{fraction}`", hint="write, e.g., 0.2"
        )
    return by, float(fraction)


def _by_order(inputs: Mapping[str, pa.Table], name: str, by: str, fraction: float) -> Split:
    rows = inputs[name]
    values = rows.column(by).drop_null().combine_chunks()
    if not len(values):
        raise DataError(
            f"`{by}` of `inputs.{name}` has no value in {rows.num_rows:,} rows, so it cannot split them",
            hint="name another column as `holdout.by`",
        )
    ordered = values.take(pc.array_sort_indices(values))
    cut = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * (1 - fraction)))]
    if cut.as_py() == ordered[0].as_py():  # ties reach down to the first row: hold out the rows after them
        later = ordered.filter(pc.greater(ordered, cut))
        if not len(later):
            raise DataError(
                f"all rows of `inputs.{name}` have the same `{by}`, {_text(cut)}, so it cannot split them",
                hint="name another column as `holdout.by`",
            )
        cut = later[0]
    training = {}
    for other, table in inputs.items():
        same = by in table.schema.names and table.schema.field(by).type == cut.type
        training[other] = table.filter(_before(table, by, cut)) if other == name or same else table
    held_out = rows.filter(pc.invert(_before(rows, by, cut)))
    before = ordered.filter(pc.less(ordered, cut))
    return Split(training, held_out, Window(f"`{by}` from {_text(cut)}", _text(before[0]), _text(before[-1])))


def _before(rows: pa.Table, by: str, cut: pa.Scalar[Any]) -> Any:
    earlier: Any = pc.less(rows.column(by), cut)
    return pc.fill_null(earlier, True)  # a row without a time is a training row


def _by_hash(inputs: Mapping[str, pa.Table], name: str, by: str | None, fraction: float) -> Split:
    rows = inputs[name]
    columns = sorted(rows.schema.names) if by is None else [by]
    hashed = pd.util.hash_pandas_object(rows.select(columns).to_pandas(), index=False).to_numpy()
    out = pa.array(hashed < np.uint64(int(fraction * 2**64)))
    held_out, kept = rows.filter(out), rows.filter(pc.invert(out))
    if not held_out.num_rows or not kept.num_rows:
        lacking = "left to train on" if held_out.num_rows else "held out"
        raise DataError(
            f"`holdout.fraction` {fraction:g}: none of the {rows.num_rows:,} rows of `inputs.{name}` is {lacking}",
            hint="change `holdout.fraction`, or provide more rows",
        )
    how = f"a hash of {'the row' if by is None else f'`{by}`'}, {fraction:g} of all"
    return Split({**inputs, name: kept}, held_out, Window(how))


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def _text(value: pa.Scalar[Any]) -> str:
    plain = value.as_py()
    return plain.isoformat() if hasattr(plain, "isoformat") else str(plain)
