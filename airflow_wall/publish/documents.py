"""Turn rows into documents of a search index, with an id, the searchable words, and the body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError, ReleaseError
from airflow_wall.publish.base import StagedRows, check_options
from airflow_wall.publish.rows import json_values, line, plain, plain_schema, render
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


_FIELDS: list[pa.Field[Any]] = [pa.field("number", pa.int64())]
_FIELDS += [pa.field(name, pa.string()) for name in ("id", "words", "body")]
_SCHEMA = pa.schema(_FIELDS)

_BATCH_ROWS = 10_000


def documents(rows: StagedRows, target: Target) -> Iterator[list[SearchDocument]]:
    """
    Return the rows as lists of documents, all of them sorted by number.

    :raises ReleaseError: `key` is missing, or there are options.
    """
    check_options(rows.options, (), target)
    if not rows.key:
        raise ReleaseError(
            f"`key` is missing: `{target}` needs the columns that identify a document",
            hint="write, e.g., `key: [domain, hour]`",
        )
    return _sorted_documents(rows)


def _sorted_documents(rows: StagedRows) -> Iterator[list[SearchDocument]]:
    """Yield the documents by number, because FTS5 writes a new segment whenever a number is below the last one."""
    schema = plain_schema(rows.rows.schema)
    searched = [field.name for field in schema if field.name in rows.key or _is_text(field.type)]
    with duck.shared() as database:
        database.register("documents", _SCHEMA.empty_table())
        database.execute("CREATE TEMP TABLE unsorted AS FROM documents")
        for batch in rows.rows.batches():
            converted = [
                vars(_document(row, body, rows.key))
                for row, body in zip(plain(batch.select(searched)).to_pylist(), json_values(batch), strict=True)
            ]
            database.register("documents", pa.Table.from_pylist(converted, _SCHEMA))
            database.execute("INSERT INTO unsorted FROM documents")
        for batch in database.sql("FROM unsorted ORDER BY number").to_arrow_reader(_BATCH_ROWS):
            yield [SearchDocument(**row) for row in batch.to_pylist()]


def _document(row: Mapping[str, Any], body: Mapping[str, Any], key: Sequence[str]) -> SearchDocument:
    id_ = line([body[name] for name in key])
    number = int.from_bytes(hashlib.sha256(id_.encode()).digest()[:8]) >> 1
    terms = words(" ".join(render(value) for value in row.values() if value is not None))
    return SearchDocument(number, id_, " ".join(terms), line(body))


def check_parts(new: Sequence[SearchDocument], part_of: Mapping[int, str], part: str, target: Target) -> None:
    """
    Check that no document is in another part.

    :param part_of: Number of a stored document -> its part.
    :raises DataError: one is.
    """
    for document in new:
        if document.number in part_of:
            raise DataError(
                f"`key`: {document.id} is in part `{part}` and in part `{part_of[document.number]}` of `{target}`",
                hint="add a column to `key`, or let each part hold different rows",
            )


def words(text: str) -> list[str]:
    """Return the words of a text; `2013-07-01T05` reads as `2013 07 01 05`."""
    return re.findall(r"\w+", re.sub(r"(?<=\d)T(?=\d)", " ", text).replace("_", " ").lower())


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
