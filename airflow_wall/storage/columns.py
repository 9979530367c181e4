"""Column types: what a Delta table can hold, and whether new rows fit the columns that are there."""

from __future__ import annotations

import pyarrow as pa

from airflow_wall.errors import DataError

_UNSIGNED: dict[pa.DataType, pa.DataType] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
}
_INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]


def storable(data: pa.Table, *, table: str) -> pa.Table:
    """
    Return the rows with each column in the type that a table holds it in: microseconds, signed, plain text.

    :raises DataError: a name occurs twice, or a type has no counterpart, e.g. a time of day.
    """
    seen: set[str] = set()
    for name in data.column_names:
        if name.lower() in seen:
            raise DataError(
                f"the rows for table `{table}` have two columns `{name}` (upper and lower case are the same)",
                hint=f"give one of them another name: `... AS {name}_2`",
            )
        seen.add(name.lower())
    fields = [pa.field(field.name, _storable(field, table)) for field in data.schema]
    # Nanoseconds are cut to microseconds, which every other reader of the table does too.
    return data.cast(pa.schema(fields), safe=False)


def fit(data: pa.Table, known: pa.Schema, *, table: str) -> pa.Table:
    """
    Return the rows in the types, letter case and order of the columns `known`; new columns come last.

    A type that loses nothing is widened (`int32` to `int64`, an integer to a float, null to all).

    :raises DataError: a column has another type.
    """
    casing = {name.lower(): name for name in known.names}
    data = data.rename_columns([casing.get(name.lower(), name) for name in data.column_names])
    columns = {name: data.column(name) for name in [*known.names, *data.column_names] if name in data.column_names}
    for name in known.names:
        if name not in columns:
            continue
        wanted, found = known.field(name).type, columns[name].type
        if found == wanted:
            continue
        if not _widens(found, wanted):
            raise DataError(
                f"column `{name}` of table `{table}` has type `{wanted}`, and the new rows have `{found}`",
                hint=f"cast the new rows to `{wanted}`, or write to another table",
            )
        columns[name] = columns[name].cast(wanted)
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _storable(field: pa.Field[pa.DataType], table: str) -> pa.DataType:
    found = plain(field.type)
    if found is None:
        raise DataError(
            f"column `{field.name}` of the rows for table `{table}` has type `{field.type}`, which no table holds",
            hint=f"cast it: `CAST({field.name} AS VARCHAR) AS {field.name}`",
        )
    return found


def plain(found: pa.DataType) -> pa.DataType | None:
    """Return the type that a table holds values of `found` in, or None; a null type stays null."""
    if isinstance(found, pa.DictionaryType):
        return plain(found.value_type)
    if pa.types.is_large_string(found) or pa.types.is_string_view(found) or pa.types.is_string(found):
        return pa.string()
    if pa.types.is_large_binary(found) or pa.types.is_binary_view(found) or pa.types.is_fixed_size_binary(found):
        return pa.binary()
    if pa.types.is_timestamp(found):
        return pa.timestamp("us", tz="UTC" if found.tz else None)
    if found in _UNSIGNED:
        return _UNSIGNED[found]
    if pa.types.is_float16(found):
        return pa.float32()
    if pa.types.is_date64(found):
        return pa.date32()
    if pa.types.is_nested(found):
        return _nested(found)
    unsupported = pa.types.is_time(found) or pa.types.is_duration(found) or pa.types.is_interval(found)
    return None if unsupported or isinstance(found, pa.BaseExtensionType) else found


def _nested(found: pa.DataType) -> pa.DataType | None:
    if pa.types.is_struct(found):
        inner = [(field.name, kind) for field in found if (kind := plain(field.type)) is not None]
        return pa.struct(inner) if len(inner) == found.num_fields else None
    if pa.types.is_map(found):
        key, item = plain(found.key_type), plain(found.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found):
        value = plain(found.value_type)
        return None if value is None else pa.list_(value)
    return None


def _widens(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_null(found):
        return True
    if found in _INTEGERS:
        if wanted in _INTEGERS:
            return _INTEGERS.index(found) < _INTEGERS.index(wanted)
        return pa.types.is_floating(wanted)
    if pa.types.is_decimal(found) and pa.types.is_decimal(wanted):
        whole = wanted.precision - wanted.scale >= found.precision - found.scale
        return bool(whole and wanted.scale >= found.scale)
    return bool(found == pa.float32() and wanted == pa.float64())
