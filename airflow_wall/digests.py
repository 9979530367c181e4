"""
A digest of rows, by which a write recognizes rows that are already in the table.

It depends on the values of the rows, never on how Arrow stores them: the bytes under a null are arbitrary, and a column
may be one chunk or many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_BATCH_ROWS = 65_536
"""Rows that are digested together, so that a big table is never copied as a whole."""


def digest_of(rows: pa.Table, *more: str) -> str:
    """
    Return a hexadecimal digest of the names and types of the columns and of the values in their order.

    :param more: Texts to add to the digest, e.g. the origin of the rows.
    """
    digest = RowDigest(rows.schema)
    for batch in rows.to_batches():
        digest.add(batch)
    return digest.hexdigest(*more)


class RowDigest:
    """
    The digest of rows that come in batches. It does not depend on the sizes of the batches.

    :param schema: Names and types of the columns.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._digest = hashlib.blake2b(digest_size=32)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0  # of the waiting batches
        for field in schema:
            self._digest.update(f"{field.name}\0{field.type}\0".encode())

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _BATCH_ROWS:
            rows = pa.Table.from_batches(self._waiting, self._schema)
            whole = self._rows - self._rows % _BATCH_ROWS
            for start in range(0, whole, _BATCH_ROWS):
                self._update(rows.slice(start, _BATCH_ROWS))
            self._waiting = rows.slice(whole).to_batches()
            self._rows -= whole

    def hexdigest(self, *more: str) -> str:
        """Return the digest of all rows, and of further texts. Nothing can be added afterwards."""
        if self._rows:
            self._update(pa.Table.from_batches(self._waiting, self._schema))
        for text in more:
            self._digest.update(f"{text}\0".encode())
        return self._digest.hexdigest()

    def _update(self, rows: pa.Table) -> None:
        for column in rows.columns:
            combined: Any = column.combine_chunks()  # several chunks if one would exceed Arrow's offsets
            for chunk in combined.chunks if isinstance(combined, pa.ChunkedArray) else [combined]:
                for part in _value_bytes(chunk):
                    self._digest.update(part)


def _value_bytes(column: pa.Array[Any]) -> Iterator[bytes | pa.Buffer]:
    """Yield a column as bytes: the number of values, which of them are null, and the values that are not."""
    yield f"{len(column)} {column.null_count}\0".encode()
    kind = column.type
    if pa.types.is_null(kind):
        return
    if column.null_count:
        yield from _value_bytes(pc.is_valid(column))
    # Booleans become bytes: Arrow packs eight into one, and its unused bits are arbitrary.
    plain = pa.large_binary() if _is_text(kind) else pa.uint8() if pa.types.is_boolean(kind) else kind
    values: Any = column.cast(plain).drop_null()
    if pa.types.is_struct(kind):
        for field in values.flatten():
            yield from _value_bytes(field)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _value_bytes(pc.list_value_length(values))
        yield from _value_bytes(values.flatten())
    elif _is_text(kind):
        yield from _text_bytes(values)
    elif pa.types.is_primitive(plain) or pa.types.is_decimal(kind):
        width = plain.bit_width // 8
        content = values.buffers()[1]
        if content is not None:
            yield content.slice(values.offset * width, len(values) * width)
    else:
        yield repr(values.to_pylist()).encode()


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _text_bytes(column: pa.Array[Any]) -> Iterator[bytes | pa.Buffer]:
    _, ends, content = column.buffers()
    if ends is None or not len(column):
        return
    bounds = pa.Array.from_buffers(pa.int64(), len(column) + 1, [None, ends], offset=column.offset)
    first, last = bounds[0].as_py(), bounds[-1].as_py()
    yield from _value_bytes(pc.subtract(bounds, first))
    if content is not None:
        yield content.slice(first, last - first)
