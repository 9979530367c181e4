"""Convert columns to types that a Delta table can store, and fit new rows to the columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.engines.duckdb.text_values import ExactValue
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.errors import DataError
from airflow_wall.storage.conversion import exact_cast, wider

_UNSIGNED: dict[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
}


def check_names(names: Sequence[str], *, table: str) -> None:
    """
    Check that no name of a column occurs twice.

    :raises DataError: one does.
    """
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise DataError(
                f"the rows for table `{table}` have two columns `{name}` (names are compared without case)",
                hint=f"rename one of them: `... AS {name}_2`",
            )
        seen.add(name.lower())


@dataclass(frozen=True)
class Fit:
    """
    The columns of new rows that suit a table.

    :param columns: Name in the new rows -> name in the table, in the order of the table's columns; new ones come last.
    :param types: Type of each column in which the rows are written.
    :param retyped: Columns of the table that must get another type, for the new rows.
    """

    columns: Mapping[str, str]
    types: Mapping[str, pa.DataType]
    retyped: Mapping[str, pa.DataType]


def fit(
    rows: pa.Schema,
    schema: pa.Schema,
    *,
    table: str,
    retype: bool = False,
    are_exact: Callable[[str, pa.DataType], bool],
) -> Fit:
    """
    Return how new rows suit the columns of a table.

    A type becomes wider if it then holds the old and the new values, e.g. `bigint` becomes `double`.

    :param rows: The columns of the new rows.
    :param retype: The types of the rows replace those of the table.
    :param are_exact: Returns True if all values of a column of the new rows are exactly values of a type.
    :raises DataError: a column has another type.
    """
    casing = {name.lower(): name for name in schema.names}
    given = {casing.get(name.lower(), name): name for name in rows.names}
    columns = {given[name]: name for name in [*schema.names, *given] if name in given}
    retyped: dict[str, pa.DataType] = {}
    types: dict[str, pa.DataType] = {}
    for source, name in columns.items():
        new = rows.field(source).type
        types[name] = new
        if name not in schema.names or schema.field(name).type == new:
            continue
        old = schema.field(name).type
        type_ = new if retype and not pa.types.is_null(new) else wider(old, new)
        if type_ is None:
            raise DataError(
                f"column `{name}` of table `{table}` must have type `{old}`, got `{new}` in the new rows",
                hint=f"cast the new rows to `{old}`, or write to another table",
            )
        if type_ != old and not retype and are_exact(source, old):
            type_ = old
        if type_ != old:
            retyped[name] = type_
        types[name] = type_
    return Fit(columns, types, retyped)


def cast_of(column: str, name: str, old: pa.DataType, new: pa.DataType, *, table: str) -> ExactValue:
    """
    Return the SQL that converts a column.

    :param column: SQL of the values.
    :raises DataError: no value of the old type is exactly a value of the new one.
    """
    cast = exact_cast(column, old, new)
    if cast is None:
        raise not_exact(table, name, old, new)
    return cast


def not_exact(table: str, column: str, old: pa.DataType, new: pa.DataType, count: int = 0) -> DataError:
    """Return the error for a column whose type cannot change."""
    which = f"{count} of its values are" if count else "its values are"
    return DataError(
        f"column `{column}` of table `{table}` cannot become `{type_name(new)}`: {which} not exactly values of that "
        f"type (it is `{type_name(old)}`)",
        hint=f"to write the table anew from its sources: `airflow-wall run FILE --rebuild {table}`; in a deployment, "
        f"move the folder `{table}` of the lake away and clear the task in all runs: "
        "`airflow tasks clear PIPELINE --task-regex TASK --yes`",
    )


def checked_type(field: pa.Field[pa.DataType], table: str) -> pa.DataType:
    """
    Return the type in which a table stores a column: microseconds, signed integers, plain text.

    :raises DataError: it cannot be stored, e.g. a time of day.
    """
    type_ = storable_type(field.type)
    if type_ is None:
        raise DataError(
            f"column `{field.name}` of the rows for table `{table}` has type `{field.type}`, which tables cannot store",
            hint=f"cast it: `CAST({field.name} AS VARCHAR) AS {field.name}`",
        )
    return type_


def storable_type(type_: pa.DataType) -> pa.DataType | None:
    """Return the type in which a table stores values of a type, or None if it cannot. A null type stays null."""
    if isinstance(type_, pa.DictionaryType):
        return storable_type(type_.value_type)
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_) or pa.types.is_string(type_):
        return pa.string()
    if pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_) or pa.types.is_fixed_size_binary(type_):
        return pa.binary()
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", tz="UTC" if type_.tz else None)
    if type_ in _UNSIGNED:
        return _UNSIGNED[type_]
    if pa.types.is_float16(type_):
        return pa.float32()
    if pa.types.is_date64(type_):
        return pa.date32()
    if pa.types.is_nested(type_):
        return _nested(type_)
    unsupported = pa.types.is_time(type_) or pa.types.is_duration(type_) or pa.types.is_interval(type_)
    return None if unsupported or isinstance(type_, pa.BaseExtensionType) else type_


def logical_type(type_: pa.DataType) -> pa.DataType | None:
    """
    Return the type of a column of a Parquet file as contracts name it, or None if a table cannot store it.

    Times of day are stored as text. Nanoseconds stay, so that a conversion can find those that would be cut.
    """
    if pa.types.is_time(type_):
        return pa.time64("us")
    if pa.types.is_timestamp(type_):
        return pa.timestamp("ns" if type_.unit == "ns" and not type_.tz else "us", tz="UTC" if type_.tz else None)
    return storable_type(type_)


def _nested(type_: pa.DataType) -> pa.DataType | None:
    if pa.types.is_struct(type_):
        inner = [(field.name, kind) for field in type_ if (kind := storable_type(field.type)) is not None]
        return pa.struct(inner) if len(inner) == type_.num_fields else None
    if pa.types.is_map(type_):
        key, item = storable_type(type_.key_type), storable_type(type_.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        value = storable_type(type_.value_type)
        return None if value is None else pa.list_(value)
    return None
