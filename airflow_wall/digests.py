"""
What rows are, as one digest: whether the same are written again is told by it.

It is made of what the rows say, never of how Arrow holds them: under a null there may stand anything, and a column may
be one piece or many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_AT_ONCE = 65_536
"""Rows that are looked at together, so that a big table is not copied."""


def digest_of(rows: pa.Table, *more: str) -> str:
    """
    Return the digest of rows in hexadecimal: of their columns' names and types, and of their values in their order.

    :param more: Texts that are digested too, e.g. where the rows are from.
    """
    found = hashlib.blake2b(digest_size=32)
    for field in rows.schema:
        found.update(f"{field.name}\0{field.type}\0".encode())
    for start in range(0, rows.num_rows, _AT_ONCE):
        for column in rows.slice(start, _AT_ONCE).columns:
            whole: Any = column.combine_chunks()  # in several pieces where it is larger than Arrow's offsets reach
            for piece in whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]:
                for part in _parts(piece):
                    found.update(part)
    for text in more:
        found.update(f"{text}\0".encode())
    return found.hexdigest()


def _parts(column: pa.Array[Any]) -> Iterator[bytes | pa.Buffer]:
    """What a column says, as bytes: how many values, which are null, and the others."""
    yield f"{len(column)} {column.null_count}\0".encode()
    kind = column.type
    if pa.types.is_null(kind):
        return
    if column.null_count:
        yield from _parts(pc.is_valid(column))
    plain = pa.large_binary() if _is_text(kind) else pa.uint8() if pa.types.is_boolean(kind) else kind
    there: Any = column.cast(plain).drop_null()  # of eight booleans in a byte, the last may be none
    if pa.types.is_struct(kind):
        for field in there.flatten():
            yield from _parts(field)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _parts(pc.list_value_length(there))
        yield from _parts(there.flatten())
    elif _is_text(kind):
        yield from _texts(there)
    elif pa.types.is_primitive(plain) or pa.types.is_decimal(kind):
        width = plain.bit_width // 8
        content = there.buffers()[1]
        if content is not None:
            yield content.slice(there.offset * width, len(there) * width)
    else:
        yield repr(there.to_pylist()).encode()


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _texts(column: pa.Array[Any]) -> Iterator[bytes | pa.Buffer]:
    _, ends, content = column.buffers()
    if ends is None or not len(column):
        return
    bounds = pa.Array.from_buffers(pa.int64(), len(column) + 1, [None, ends], offset=column.offset)
    first, last = bounds[0].as_py(), bounds[-1].as_py()
    yield from _parts(pc.subtract(bounds, first))
    if content is not None:
        yield content.slice(first, last - first)
