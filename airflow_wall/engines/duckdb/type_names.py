"""Names of column types, as contracts and `options.types` write them: SQL's words, and the Arrow types behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from airflow_wall.errors import DataError

_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "utinyint": pa.uint8(),
    "usmallint": pa.uint16(),
    "uinteger": pa.uint32(),
    "ubigint": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "varchar": pa.string(),
    "blob": pa.binary(),
}
"""The name by which a contract writes each type."""

_SYNONYMS = {
    "bool": "boolean",
    "int1": "tinyint",
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "long": "bigint",
    "real": "float",
    "float4": "float",
    "float8": "double",
    "double precision": "double",
    "datetime": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "text": "varchar",
    "string": "varchar",
    "char": "varchar",
    "uuid": "varchar",
    "json": "varchar",
    "bytea": "blob",
    "binary": "blob",
    "varbinary": "blob",
}
_DECIMAL = re.compile(r"(?:decimal|numeric)(?: ?\( ?(\d{1,2}) ?(?:, ?(\d{1,2}) ?)?\))?")
_SIZED = re.compile(r"(?:var)?char ?\( ?\d{1,9} ?\)")
_FIELD = re.compile(r'\s*(?:"((?:[^"]|"")+)"|(\w+))\s+(.+)', re.DOTALL)
_MAX_LENGTH = 5_000
_MAX_DEPTH = 16


def type_name(type_: pa.DataType) -> str:
    """Return the SQL name of an Arrow type that tables store, e.g. `decimal(10,2)` or `struct(a bigint)`."""
    for name, known in _TYPES.items():
        if known == type_:
            return name
    if isinstance(type_, pa.Decimal128Type):
        return f"decimal({type_.precision},{type_.scale})"
    if isinstance(type_, pa.StructType):
        fields = ('"{}" {}'.format(field.name.replace('"', '""'), type_name(field.type)) for field in type_)
        return f"struct({', '.join(fields)})"
    if isinstance(type_, pa.MapType):
        return f"map({type_name(type_.key_type)}, {type_name(type_.item_type)})"
    if isinstance(type_, pa.ListType):
        return f"{type_name(type_.value_type)}[]"
    return str(type_)


def type_of(name: str, *, where: str) -> pa.DataType:
    """
    Return the Arrow type of a SQL type name.

    :param where: Where the name is written, for the message.
    :raises DataError: the name is not a type, or a table cannot store it.
    """
    type_ = _parse(name, 0) if len(name) <= _MAX_LENGTH else None
    if type_ is None:
        raise DataError(
            f"{where}: `{name[:100]}` is not a type of a column",
            hint="write, e.g., `varchar`, `bigint`, `double`, `decimal(10,2)`, `boolean`, `date`, `timestamp`, "
            "`timestamptz` or `time`",
        )
    return type_


def _parse(name: str, depth: int) -> pa.DataType | None:
    text = name.strip()
    plain = " ".join(text.lower().split())
    known = _TYPES.get(_SYNONYMS.get(plain, plain))
    if known is not None or depth > _MAX_DEPTH:
        return known
    if _SIZED.fullmatch(plain):
        return pa.string()
    decimal = _DECIMAL.fullmatch(plain)
    if decimal is not None:
        precision, scale = int(decimal[1] or 18), int(decimal[2] or (0 if decimal[1] else 3))
        return pa.decimal128(precision, scale) if 0 < precision <= 38 and scale <= precision else None
    if plain.endswith("[]"):
        item = _parse(text[:-2], depth + 1)
        return None if item is None else pa.list_(item)
    if plain.startswith("struct") and plain.endswith(")"):
        return _struct(text[6:].strip(), depth)
    if plain.startswith("map") and plain.endswith(")"):
        parts = [_parse(part, depth + 1) for part in _split(text[3:].strip()[1:-1])]
        key, item = parts if len(parts) == 2 else (None, None)
        return None if key is None or item is None else pa.map_(key, item)
    return None


def _struct(text: str, depth: int) -> pa.DataType | None:
    fields = []
    for part in _split(text[1:-1]) if text.startswith("(") else ():
        field = _FIELD.fullmatch(part)
        type_ = None if field is None else _parse(field[3], depth + 1)
        if field is None or type_ is None:
            return None
        fields.append((field[1].replace('""', '"') if field[1] else field[2], type_))
    return pa.struct(fields) if fields else None


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas that are in no bracket and no quotes."""
    depth, quoted, begin = 0, False, 0
    for place, sign in enumerate(text):
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign == "(") - (sign == ")")
            if sign == "," and not depth:
                yield text[begin:place]
                begin = place + 1
    yield text[begin:]
