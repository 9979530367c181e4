"""
Split rows into training rows and held-out rows, which the training function never sees.

Rows with a time are split by time: a model that predicts tomorrow must not be evaluated on days between its training
days. Rows of the same time stay together. Other rows are split by a hash of the row, which selects the same rows in
every process and try.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.errors import DataError, ModelError
from airflow_wall.models.base import Window
from airflow_wall.models.features import family

log = logging.getLogger(__name__)

_WAYS = ("by", "group", "random", "table")
_KEYS = ("by", "from", "group", "random", "table", "fraction")

_BIRTH = re.compile(r"birth|born|(^|_)dob(_|$)", re.IGNORECASE)
_LONG = timedelta(days=40 * 365)
"""Range of a column of times from which on it is hardly the time of the rows, if there is another one."""


@dataclass(frozen=True)
class Split:
    """
    Training rows and held-out rows.

    :param training: Input -> its rows for the training function.
    :param held_out: Rows of the first input that the function does not get.
    :param by_group: True if the values of a column were drawn, so that the held-out rows have other ones.
    """

    training: dict[str, pa.Table]
    held_out: pa.Table
    window: Window
    by_group: bool = False


@dataclass(frozen=True)
class _Holdout:
    """The keys of `holdout`."""

    by: str | None = None
    start: Any = None
    group: str | None = None
    random: bool = False
    table: str | None = None
    fraction: float = 0.2


def split(inputs: Mapping[str, pa.Table], holdout: Mapping[str, Any] | None, table: pa.Table | None = None) -> Split:
    """
    Split the first input. If its rows have a time, later rows of the other inputs are held out too.

    :param holdout: One of `by`, the column whose highest values are held out (default: the first column of times, else
        the whole row), with `from`, the value from which on they are; `group`, the column that is drawn; `random`; or
        `table`. `fraction`: the fraction of rows to hold out (default 0.2).
    :param table: The rows of `holdout.table`.
    :raises ModelError: `holdout` has an unknown key or an invalid value.
    :raises DataError: no rows would be left to train on or to evaluate on.
    """
    options = _read(holdout)
    name, rows = next(iter(inputs.items()))
    if table is not None:
        return _by_table(inputs, name, table, str(options.table))
    for key in ("by", "group"):
        column = getattr(options, key)
        if column is not None and column not in rows.schema.names:
            raise ModelError(
                f"`holdout.{key}` must be a column of `inputs.{name}`, got `{column}`",
                hint=f"its columns are {listed(rows.schema.names)}",
            )
    if options.group is not None or options.random:
        return _by_hash(inputs, name, options.group, options.fraction)
    if options.by is None:
        return _by_default(inputs, name, options.fraction)
    if family(rows.schema.field(options.by).type) in ("time", "number"):
        return _by_order(inputs, name, options.by, options.fraction, options.start)
    if options.start is not None:
        raise ModelError(
            f"`holdout.by` must be a column of times or numbers with `from`, got `{options.by}` of "
            f"`{rows.schema.field(options.by).type}`",
            hint="convert the column in an earlier transform",
        )
    log.warning("`holdout.by` names a column without an order; write `group: %s` instead", options.by)
    return _by_hash(inputs, name, options.by, options.fraction)


def _read(holdout: Mapping[str, Any] | None) -> _Holdout:
    holdout = {key: value for key, value in (holdout or {}).items() if value is not None}
    if unknown := [key for key in holdout if key not in _KEYS]:
        raise ModelError(f"`holdout` has no key `{unknown[0]}`", hint=suggestion(unknown[0], _KEYS, what="keys"))
    ways = [key for key in _WAYS if key in holdout]
    if len(ways) > 1 or ("from" in holdout and "by" not in holdout):
        given = listed([*ways, *(["from"] if "from" in holdout else [])], conjunction="and")
        raise ModelError(
            f"`holdout` must have one of {listed(_WAYS)}, and `from` only with `by`, got {given}", hint="keep one way"
        )
    for key in ("by", "group", "table"):
        if not isinstance(holdout.get(key, ""), str):
            what = "table" if key == "table" else "column"
            raise ModelError(
                f"`holdout.{key}` must be the name of a {what}, got `{holdout[key]}`",
                hint=f"write, e.g., `{key}: {'silver/test' if key == 'table' else 'created_at'}`",
            )
    fraction = holdout.get("fraction", 0.2)
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ModelError(
            f"`holdout.fraction` must be a number between 0 and 1, got `{fraction}`", hint="write, e.g., 0.2"
        )
    return _Holdout(
        holdout.get("by"),
        holdout.get("from"),
        holdout.get("group"),
        bool(holdout.get("random")),
        holdout.get("table"),
        float(fraction),
    )


def _by_default(inputs: Mapping[str, pa.Table], name: str, fraction: float) -> Split:
    """Split by the first column that is the time of a row, and say which one was chosen."""
    rows = inputs[name]
    times = [field.name for field in rows.schema if _is_time(field.type)]
    births = [column for column in times if names_birth(column)]
    others = [column for column in times if column not in births]
    others = [column for column in others if _range(rows.column(column)) < _LONG] or others
    if others:
        parts = _by_order(inputs, name, others[0], fraction)
        note = "the first column of times" if others[0] == times[0] else f"not by `{times[0]}`"
        return _noted(parts, f"chosen by default: {note}; `holdout.by` names another")
    parts = _by_hash(inputs, name, None, fraction)
    if births:
        return _noted(parts, f"`{births[0]}` is hardly the time of a row; if it is, name it as `holdout.by`")
    return parts


def names_birth(column: str) -> bool:
    """Return True if a column of times is by its name the birth of a person, and so not the time of the row."""
    return _BIRTH.search(column) is not None


def _noted(parts: Split, note: str) -> Split:
    return replace(parts, window=replace(parts.window, how=f"{parts.window.how} ({note})"))


def _range(column: pa.ChunkedArray[Any]) -> timedelta:
    """Return the time from the first to the last value."""
    ends = pc.min_max(column.cast(pa.timestamp("us")))
    first, last = ends["min"].as_py(), ends["max"].as_py()
    return timedelta(0) if first is None else last - first


def _by_table(inputs: Mapping[str, pa.Table], name: str, held_out: pa.Table, table: str) -> Split:
    if not held_out.num_rows or not inputs[name].num_rows:
        empty = f"`holdout.table` (`{table}`)" if not held_out.num_rows else f"`inputs.{name}`"
        raise DataError(f"{empty} must have rows, got none", hint="look at the steps that write it")
    for field in inputs[name].schema:
        place = held_out.schema.get_field_index(field.name)
        if place >= 0 and held_out.schema.field(place).type != field.type:
            try:
                held_out = held_out.set_column(place, field, held_out.column(place).cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise DataError(
                    f"`{field.name}` of `holdout.table` (`{table}`) must be `{field.type}` as in `inputs.{name}`, got "
                    f"`{held_out.schema.field(place).type}`",
                    hint="cast the column in the step that writes the table",
                ) from None
    return Split(dict(inputs), held_out, Window(f"the rows of `{table}`"))


def _by_order(inputs: Mapping[str, pa.Table], name: str, by: str, fraction: float, start: Any = None) -> Split:
    rows = inputs[name]
    values = rows.column(by).drop_null().combine_chunks()
    if not len(values):
        raise DataError(
            f"`{by}` of `inputs.{name}` has no value in {rows.num_rows:,} rows, so it cannot split them",
            hint="name another column as `holdout.by`",
        )
    ordered = values.take(pc.array_sort_indices(values))
    if start is not None:
        return _by_cut(inputs, name, by, ordered, _start(start, by, ordered, name))
    cut = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * (1 - fraction)))]
    if cut.as_py() == ordered[0].as_py():  # ties reach down to the first row: hold out the rows after them
        later = ordered.filter(pc.greater(ordered, cut))
        if not len(later):
            raise DataError(
                f"all rows of `inputs.{name}` have the same `{by}`, {_text(cut)}, so it cannot split them",
                hint="name another column as `holdout.by`",
            )
        cut = later[0]
    return _by_cut(inputs, name, by, ordered, cut)


def _start(start: Any, by: str, ordered: pa.Array[Any], name: str) -> pa.Scalar[Any]:
    """
    Return `holdout.from` as a value of its column.

    :raises ModelError: it has another type, or there are no rows before it or from it on.
    """
    try:
        cut = _scalar(str(start), ordered.type)
    except (ValueError, pa.ArrowNotImplementedError):  # ArrowInvalid is a ValueError
        raise ModelError(
            f"`holdout.from` must be a value of `{by}`, a `{ordered.type}`, got `{start}`",
            hint=f"write, e.g., `from: {_text(ordered[len(ordered) // 2])}`",
        ) from None
    if cut.as_py() <= ordered[0].as_py() or cut.as_py() > ordered[-1].as_py():
        raise ModelError(
            f"`holdout.from` must leave rows of `inputs.{name}` on both sides, got `{start}`",
            hint=f"`{by}` goes from {_text(ordered[0])} to {_text(ordered[-1])}",
        )
    return cut


def _scalar(text: str, type_: pa.DataType) -> pa.Scalar[Any]:
    if not _is_time(type_):
        return pa.scalar(text).cast(type_)
    time = datetime.fromisoformat(text)
    if pa.types.is_date(type_):
        return pa.scalar(time.date(), type_)
    return pa.scalar(time if time.tzinfo or "tz=" not in str(type_) else time.replace(tzinfo=UTC), type_)


def _by_cut(inputs: Mapping[str, pa.Table], name: str, by: str, ordered: pa.Array[Any], cut: pa.Scalar[Any]) -> Split:
    rows, training = inputs[name], {}
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
    drawn = hashed < np.uint64(int(fraction * 2**64))
    if len(hashed) and drawn.all():  # few groups: leave one to train on
        drawn = hashed < hashed.max()
    elif len(hashed) and not drawn.any() and hashed.min() < hashed.max():
        drawn = hashed == hashed.min()
    out = pa.array(drawn)
    held_out, kept = rows.filter(out), rows.filter(pc.invert(out))
    if by is not None and len(hashed) and (hashed == hashed[0]).all():
        raise DataError(
            f"all rows of `inputs.{name}` have the same `{by}`, so it cannot split them",
            hint="name another column as `holdout.group`",
        )
    if not held_out.num_rows or not kept.num_rows:
        lacking = "left to train on" if held_out.num_rows else "held out"
        raise DataError(
            f"`holdout.fraction` {fraction:g}: none of the {rows.num_rows:,} rows of `inputs.{name}` is {lacking}",
            hint="change `holdout.fraction`, or provide more rows",
        )
    how = f"a hash of {'the row' if by is None else f'`{by}`'}, {fraction:g} of all"
    return Split({**inputs, name: kept}, held_out, Window(how), by_group=by is not None)


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def _text(value: pa.Scalar[Any]) -> str:
    plain = value.as_py()
    return plain.isoformat() if hasattr(plain, "isoformat") else str(plain)
