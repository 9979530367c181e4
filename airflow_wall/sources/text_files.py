"""Files of text: their records as Python reads them, and copies that DuckDB can read without a guess."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa

COMPRESSIONS: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
"""Suffix of a compressed file to its compression."""

_READ_BY_DUCKDB = ("utf-8", "utf_8", "utf-16", "utf_16", "latin-1", "latin_1", "iso8859-1")
_BLOCK = 1 << 20


@contextmanager
def open_bytes(path: Path) -> Iterator[pa.NativeFile]:
    """Open a file, which may be compressed, as bytes."""
    compression: Any = COMPRESSIONS.get(path.suffix.lower())  # the stubs lack None
    with pa.input_stream(str(path), compression=compression) as stream:
        yield stream


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a file, which may be compressed, as text with its line ends as they are."""
    encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    with open_bytes(path) as stream:
        yield io.TextIOWrapper(io.BufferedReader(stream, _BLOCK), encoding=encoding, newline="")  # type: ignore[type-var]


def encoding_of(options: Mapping[str, Any]) -> str:
    """Return the encoding that options name; by default UTF-8."""
    return str(options.get("encoding", "utf-8"))


def csv_records(lines: TextIO, options: Mapping[str, Any], *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """
    Yield the records of a CSV, each with the number of its first line; empty lines and comments are left out.

    :param strict: Raise `csv.Error` on a quote inside a field.
    """
    skipped = int(options.get("skip", 0))
    comment = str(options.get("comment", ""))
    kept = itertools.islice(lines, skipped, None)
    reader = csv.reader(
        (line for line in kept if not (comment and line.startswith(comment))),
        delimiter=str(options.get("delim", ",")),
        quotechar=str(options.get("quote", '"')) or None,
        doublequote=str(options.get("escape", '"')) == str(options.get("quote", '"')),
        escapechar=None
        if str(options.get("escape", '"')) == str(options.get("quote", '"'))
        else str(options["escape"]),
        quoting=csv.QUOTE_MINIMAL if str(options.get("quote", '"')) else csv.QUOTE_NONE,
        strict=strict,
    )
    begin = 0
    for fields in reader:
        if fields:
            yield begin + skipped + 1, fields
        begin = reader.line_num


def header_of(path: Path, options: Mapping[str, Any]) -> list[str] | None:
    """
    Return the names of a CSV's columns, or None for a file without a line.

    A column without a name is called `column0` by its place, and so are all columns of a file without a header.
    """
    with open_text(path, encoding_of(options)) as lines:
        first = next(csv_records(lines, options), None)
    if first is None:
        return None
    has_header = bool(options.get("header", True))
    return [(name.strip() if has_header else "") or f"column{place}" for place, name in enumerate(first[1])]


def readable_by_duckdb(path: Path, options: Mapping[str, Any], folder: Path) -> Path:
    """
    Return the file if DuckDB reads it exactly, else a copy of its records in UTF-8 with equal line ends.

    :param folder: Where to write the copy.
    """
    encoding = encoding_of(options)
    if encoding.lower() in _READ_BY_DUCKDB and not _has_mixed_line_ends(path):
        return path
    copy = folder / f"{len(list(folder.iterdir()))}.csv"
    with open_text(path, encoding) as lines, copy.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerows(fields for _, fields in csv_records(lines, options, strict=True))
    return copy


def _has_mixed_line_ends(path: Path) -> bool:
    r"""Return True if a file has lines that end with `\r\n` beside lines that end with `\n` or `\r`."""
    both = feeds = returns = 0
    last = b""
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK):
            both += block.count(b"\r\n") + (last == b"\r" and block.startswith(b"\n"))
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
            last = block[-1:]
    return sum(count > 0 for count in (both, feeds - both, returns - both)) > 1
