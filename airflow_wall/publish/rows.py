"""Check the key of a part's rows, and convert the rows to plain values."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DataError

_SHOWN = 3


def check_key(data: pa.Table, key: Sequence[str], *, where: str = "the data") -> None:
    """
    Check that the columns of `key` exist, hold no nulls, and are unique together.

    :raises DataError: the message names `key`, the columns, and the first wrong values.
    """
    missing = [name for name in key if name not in data.column_names]
    if missing:
        raise DataError(
            f"`key` names {listed(missing)}, but {where} has the columns {listed(data.column_names)}",
            hint="use these columns in `key`, or add the missing ones in the transform",
        )
    for name in key:
        if nulls := data.column(name).null_count:
            raise DataError(
                f"`key`: column `{name}` is null in {nulls} of {data.num_rows} rows",
                hint="drop these rows in the transform, or use another `key`",
            )
    if not key:
        return
    counted = data.select(list(key)).group_by(list(key)).aggregate([([], "count_all")])
    double = counted.filter(pc.greater(counted.column("count_all"), pa.scalar(1)))
    if double.num_rows:
        first = [
            "(" + ", ".join(f"{name}={render(row[name])}" for name in key) + ")"
            for row in double.sort_by([(name, "ascending") for name in key]).slice(0, _SHOWN).to_pylist()
        ]
        more = f" and {double.num_rows - _SHOWN} more" if double.num_rows > _SHOWN else ""
        raise DataError(
            f"`key` {listed(key)} must be unique, but {', '.join(first)}{more} occur in more than one row",
            hint="remove the duplicates in the transform, or add a column to `key`",
        )


def plain(data: pa.Table) -> pa.Table:
    """Return the rows with dictionaries decoded and times in microseconds; times with a zone are in UTC."""
    columns = []
    for column in data.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        elif pa.types.is_time(kind):
            column = column.cast(pa.time64("us"), safe=False)
        elif pa.types.is_float16(kind):
            column = column.cast(pa.float32())
        columns.append(column)
    return pa.table(columns, names=data.column_names)


def json_values(data: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield each row as JSON values: times in ISO 8601, decimals as text, bytes in hex, NaN and infinity as null."""
    for row in plain(data).to_pylist():
        yield {name: _json_value(value) for name, value in row.items()}


def line(values: Any) -> str:
    """Return `values` as one line of JSON; the same values give the same line."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def render(value: Any) -> str:
    """Return a value as searchable text: `2013-07-01 05:00:00`, `EWR`, `7`."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    return str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _json_value(item) for name, item in value.items()}
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
