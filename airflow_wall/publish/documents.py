"""Turn rows into documents of a search index, with an id, the searchable words, and the body."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.errors import ReleaseError
from airflow_wall.publish.base import StagedRows, check_options
from airflow_wall.publish.rows import json_values, line, plain, render
from airflow_wall.publish.targets.base import Target


@dataclass(frozen=True)
class SearchDocument:
    """
    A document of a search index.

    :param number: 63 bits of the hash of its key, so a row has the same number in every try.
    :param id: Its key as JSON.
    :param words: The words of its text and key columns, in lower case.
    :param body: All its columns as JSON.
    """

    number: int
    id: str
    words: str
    body: str


def documents(rows: StagedRows, target: Target) -> list[SearchDocument]:
    """
    Return the rows as documents, sorted by number.

    :raises ReleaseError: `key` is missing, or there are options.
    """
    check_options(rows.options, (), target)
    if not rows.key:
        raise ReleaseError(
            f"`key` is missing: `{target}` needs the columns that identify a document",
            hint="write, e.g., `key: [domain, hour]`",
        )
    data = plain(rows.data)
    searched = [f.name for f in data.schema if f.name in rows.key or _is_text(f.type)]
    result = []
    for row, body in zip(data.select(searched).to_pylist(), json_values(data), strict=True):
        key = line([body[name] for name in rows.key])
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 1
        terms = words(" ".join(render(value) for value in row.values() if value is not None))
        result.append(SearchDocument(number, key, " ".join(terms), line(body)))
    # Sorted, because FTS5 writes a new segment whenever a number is below the last one.
    return sorted(result, key=lambda document: document.number)


def words(text: str) -> list[str]:
    """Return the words of a text; `2013-07-01T05` reads as `2013 07 01 05`."""
    return re.findall(r"\w+", re.sub(r"(?<=\d)T(?=\d)", " ", text).replace("_", " ").lower())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
