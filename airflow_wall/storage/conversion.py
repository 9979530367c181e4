"""Exact conversions between the types of columns, and the narrowest type that holds the values of two."""

from __future__ import annotations

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.text_values import ExactValue, exact_value
from airflow_wall.engines.duckdb.type_names import type_name

_INTEGERS: tuple[pa.DataType, ...] = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_DIGITS = dict(zip(_INTEGERS, (3, 5, 10, 19), strict=True))
_MAX_PRECISION = 38


def wider(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    """
    Return the narrowest type that holds the values of two types, or None if there is none.

    A `double` counts as wider than every integer type, although it does not hold all integers; `exact_cast` does.
    """
    if old == new or pa.types.is_null(new):
        return old
    if pa.types.is_null(old):
        return new
    if old in _INTEGERS and new in _INTEGERS:
        return max(old, new, key=_INTEGERS.index)
    if _is_number(old) and _is_number(new):
        if pa.types.is_floating(old) or pa.types.is_floating(new):
            is_decimal = pa.types.is_decimal(old) or pa.types.is_decimal(new)
            return None if is_decimal else pa.float64()
        return _wider_decimal(old, new)
    if {old, new} == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    if isinstance(old, pa.StructType) and isinstance(new, pa.StructType):
        return _wider_struct(old, new)
    if isinstance(old, pa.ListType) and isinstance(new, pa.ListType):
        inner = wider(old.value_type, new.value_type)
        return None if inner is None else pa.list_(inner)
    return None


def exact_cast(column: str, old: pa.DataType, new: pa.DataType) -> ExactValue | None:
    """
    Return the SQL that converts a column without the loss of a digit, time part or fraction.

    :param column: SQL of the values, e.g. a quoted name.
    :return: None if no value of the old type is a value of the new one.
    """
    if pa.types.is_time(old):  # tables store it as text
        is_text = new in (pa.string(), pa.time64("us"))
        return ExactValue("true", f"CAST({column} AS VARCHAR)", "false") if is_text else None
    if old == new:
        return ExactValue("true", column, "false")
    if pa.types.is_null(old):
        return ExactValue("true", f"CAST(NULL AS {_sql(new)})", "false")
    if pa.types.is_string(old):
        return exact_value(column, new)
    cast = f"TRY_CAST({column} AS {_sql(new)})"
    back = f"({column} IS NULL OR coalesce(TRY_CAST({cast} AS {_sql(old)}) = {column}, false))"
    if pa.types.is_string(new):
        is_plain = old in _INTEGERS or pa.types.is_boolean(old) or pa.types.is_date(old)
        return ExactValue("true", cast, "false") if is_plain else None
    if _is_number(old) and _is_number(new):
        if pa.types.is_floating(old) and pa.types.is_floating(new):
            back = f"({back} OR isnan({column}))"
        is_inexact = pa.types.is_floating(old) and pa.types.is_decimal(new)
        return None if is_inexact else ExactValue(back, cast, "false")
    if _is_time(old) and _is_time(new) and _zone(old) == _zone(new):
        return ExactValue(back, cast, "false")
    return ExactValue("true", cast, "false") if _has_all_of(new, old) else None


def _has_all_of(new: pa.DataType, old: pa.DataType) -> bool:
    return not pa.types.is_binary(old) and wider(old, new) == new


def _sql(type_: pa.DataType) -> str:
    if isinstance(type_, pa.TimestampType) and type_.unit == "ns" and not type_.tz:
        return "TIMESTAMP_NS"
    return "varchar" if pa.types.is_time(type_) else type_name(type_)


def _is_number(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def _is_time(type_: pa.DataType) -> bool:
    return pa.types.is_date(type_) or pa.types.is_timestamp(type_)


def _zone(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.TimestampType) and type_.tz is not None


def _wider_decimal(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    (whole, scale), (other_whole, other_scale) = _whole_and_scale(old), _whole_and_scale(new)
    whole, scale = max(whole, other_whole), max(scale, other_scale)
    return pa.decimal128(whole + scale, scale) if whole + scale <= _MAX_PRECISION else None


def _whole_and_scale(type_: pa.DataType) -> tuple[int, int]:
    if isinstance(type_, pa.Decimal128Type):
        return type_.precision - type_.scale, type_.scale
    digits: int = _DIGITS.get(type_, 20)
    return digits, 0


def _wider_struct(old: pa.StructType, new: pa.StructType) -> pa.DataType | None:
    added = {field.name: field.type for field in new}
    fields: list[tuple[str, pa.DataType]] = []
    for field in old:
        type_ = wider(field.type, added.pop(field.name, field.type))
        if type_ is None:
            return None
        fields.append((field.name, type_))
    return pa.struct([*fields, *added.items()])


def select(columns: dict[str, str]) -> str:
    """Return the select list of SQL expressions by the names of their columns."""
    return ", ".join(f"{sql} AS {duck.identifier(name)}" for name, sql in columns.items())
