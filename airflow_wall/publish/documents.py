"""Rows as documents of a search index: an id, the words it is found by, and what is given back."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.errors import ReleaseError
from airflow_wall.publish.base import Rows, check_options
from airflow_wall.publish.rows import json_values, line, plain, render


@dataclass(frozen=True)
class Document:
    """
    One document.

    :param number: 63 bits of the hash of its key: the same row has the same number in every try.
    :param id: Its key as JSON.
    :param words: The words of its text and key columns, in lower case.
    :param body: All its columns as JSON.
    """

    number: int
    id: str
    words: str
    body: str


def documents(rows: Rows, to: str) -> list[Document]:
    """
    Return the rows as documents, by number.

    :raises ReleaseError: no `key` tells the rows apart, or there are options.
    """
    check_options(rows.options, (), to)
    if not rows.key:
        raise ReleaseError(
            f"`key` is missing: `{to}` needs the columns that tell its documents apart",
            hint="write, e.g., `key: [domain, hour]`",
        )
    data = plain(rows.data)
    spoken = [f.name for f in data.schema if f.name in rows.key or _is_text(f.type)]
    made = []
    for row, body in zip(data.select(spoken).to_pylist(), json_values(data), strict=True):
        key = line([body[name] for name in rows.key])
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 1
        said = words(" ".join(render(value) for value in row.values() if value is not None))
        made.append(Document(number, key, " ".join(said), line(body)))
    # FTS5 writes a segment whenever a number is below the last one.
    return sorted(made, key=lambda document: document.number)


def words(text: str) -> list[str]:
    """Return the words of a text; `2013-07-01T05` reads as `2013 07 01 05`."""
    return re.findall(r"\w+", re.sub(r"(?<=\d)T(?=\d)", " ", text).replace("_", " ").lower())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
