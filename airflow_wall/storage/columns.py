"""Convert columns to types that a Delta table can store, and fit new rows to the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.type_names import type_name
from airflow_wall.errors import DataError
from airflow_wall.storage.conversion import exact_cast, wider

_UNSIGNED: dict[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
}


def to_storable(data: pa.Table, *, table: str) -> pa.Table:
    """
    Return the rows with columns cast to the types that tables store: microseconds, signed integers, plain text.

    :raises DataError: a name occurs twice, or a type cannot be stored, e.g. a time of day.
    """
    seen: set[str] = set()
    for name in data.column_names:
        if name.lower() in seen:
            raise DataError(
                f"the rows for table `{table}` have two columns `{name}` (names are compared without case)",
                hint=f"rename one of them: `... AS {name}_2`",
            )
        seen.add(name.lower())
    fields = [pa.field(field.name, _checked_type(field, table)) for field in data.schema]
    # Nanoseconds are truncated to microseconds, as by every other reader of the table.
    return data.cast(pa.schema(fields), safe=False)


@dataclass(frozen=True)
class Fitted:
    """
    New rows that suit a table.

    :param rows: The rows, in the letter case, order and types of the table's columns; new columns come last.
    :param retyped: Columns of the table that must get another type, for the new rows.
    """

    rows: pa.Table
    retyped: Mapping[str, pa.DataType]


def fit(data: pa.Table, schema: pa.Schema, *, table: str, retype: bool = False) -> Fitted:
    """
    Return new rows that suit the columns of a table.

    A type becomes wider if it then holds the old and the new values, e.g. `bigint` becomes `double`.

    :param retype: The types of the rows replace those of the table.
    :raises DataError: a column has another type, or a value is not exactly a value of its column's type.
    """
    casing = {name.lower(): name for name in schema.names}
    data = data.rename_columns([casing.get(name.lower(), name) for name in data.column_names])
    columns = {name: data.column(name) for name in [*schema.names, *data.column_names] if name in data.column_names}
    retyped: dict[str, pa.DataType] = {}
    wanted: dict[str, pa.DataType] = {}
    for name in schema.names:
        if name not in columns or columns[name].type == schema.field(name).type:
            continue
        old, new = schema.field(name).type, columns[name].type
        type_ = new if retype and not pa.types.is_null(new) else wider(old, new)
        if type_ is None:
            raise DataError(
                f"column `{name}` of table `{table}` must have type `{old}`, got `{new}` in the new rows",
                hint=f"cast the new rows to `{old}`, or write to another table",
            )
        if type_ != old and not retype and _fits(columns[name], old):
            type_ = old
        if type_ != old:
            retyped[name] = type_
        if type_ != new:
            wanted[name] = type_
    rows = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    return Fitted(convert(rows, wanted, table=table) if wanted else rows, retyped)


def convert(rows: pa.Table, types: Mapping[str, pa.DataType], *, table: str) -> pa.Table:
    """
    Return rows with some columns in other types.

    :raises DataError: a value is not exactly a value of the new type.
    """
    with duck.connect() as database:
        database.register("rows", rows)
        columns, conditions = [], []
        for field in rows.schema:
            name = duck.identifier(field.name)
            type_ = types.get(field.name)
            cast = None if type_ is None else exact_cast(name, field.type, type_)
            if type_ is not None and cast is None:
                raise _not_exact(table, field.name, field.type, type_)
            columns.append(name if cast is None else f"{cast.value} AS {name}")
            conditions.append("0" if cast is None else f"count_if(NOT {cast.valid})")
        (bad,) = database.sql(f"SELECT {', '.join(conditions)} FROM rows").fetchall()  # noqa: S608
        for field, count in zip(rows.schema, bad, strict=True):
            if count:
                raise _not_exact(table, field.name, field.type, types[field.name], count)
        converted = database.sql(f"SELECT {', '.join(columns)} FROM rows").to_arrow_table()  # noqa: S608
    schema = pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in rows.schema])
    result: pa.Table = converted.cast(schema)
    return result


def without_rows(rows: pa.Table, held: pa.Table) -> pa.Table:
    """
    Return rows without those that are held already, in their order.

    Of equal rows, as many are left out as are held. A column that only one of them has counts as null in the other.
    """
    if not rows.num_rows or not held.num_rows:
        return rows
    names = [*rows.column_names, *(name for name in held.column_names if name not in rows.column_names)]
    new, old = (
        ", ".join(
            duck.identifier(name) if name in part.column_names else f"NULL AS {duck.identifier(name)}" for name in names
        )
        for part in (rows, held)
    )
    listed_names = ", ".join(map(duck.identifier, names))
    equal = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in map(duck.identifier, names))
    numbered = f"row_number() OVER (PARTITION BY {listed_names}) AS _wall_copy"
    with duck.connect() as database:
        database.register("new_rows", rows.append_column("_wall_place", pa.array(range(rows.num_rows), pa.int64())))
        database.register("old_rows", held)
        places = database.sql(
            f"WITH a AS (SELECT *, {numbered} FROM (SELECT {new}, _wall_place FROM new_rows)), "  # noqa: S608  # quoted
            f"b AS (SELECT *, {numbered} FROM (SELECT {old} FROM old_rows)) "
            f"SELECT _wall_place FROM a WHERE NOT EXISTS (FROM b WHERE a._wall_copy = b._wall_copy AND {equal}) "
            "ORDER BY _wall_place"
        ).to_arrow_table()
    kept: pa.Table = rows.take(places.column(0))
    return kept


def _fits(column: pa.ChunkedArray[Any], type_: pa.DataType) -> bool:
    """Return True if all values are exactly values of the type: `3.0` is an integer too."""
    try:
        return bool(column.cast(type_).cast(column.type).equals(column))
    except pa.ArrowException:
        return False


def _not_exact(table: str, column: str, old: pa.DataType, new: pa.DataType, count: int = 0) -> DataError:
    which = f"{count} of its values are" if count else "its values are"
    return DataError(
        f"column `{column}` of table `{table}` cannot become `{type_name(new)}`: {which} not exactly values of that "
        f"type (it is `{type_name(old)}`)",
        hint=f"to write the table anew from its sources: `airflow-wall run FILE --rebuild {table}`; in a deployment, "
        f"move the folder `{table}` of the lake away and clear the task in all runs: "
        "`airflow tasks clear PIPELINE --task-regex TASK --yes`",
    )


def _checked_type(field: pa.Field[pa.DataType], table: str) -> pa.DataType:
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
