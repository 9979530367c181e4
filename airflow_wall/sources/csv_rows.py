"""
Read CSV files as texts with DuckDB.

The header is read here, and DuckDB gets the columns, so that it guesses nothing, as the next guess may differ.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError
from airflow_wall.sources.text_files import (
    csv_records,
    encoding_of,
    header_of,
    open_bytes,
    open_text,
    readable_by_duckdb,
)
from airflow_wall.sources.text_rows import ALL_FAMILIES, Presence, RejectedRow, TextRows
from airflow_wall.storage.base import SOURCE

_DIALECT: dict[str, Any] = {
    "delim": ",", "quote": '"', "escape": '"', "comment": "", "header": True, "skip": 0, "null_padding": False,
}  # fmt: skip
_PASSED = (*_DIALECT, "nullstr", "encoding")


def csv_rows(
    paths: Sequence[Path], options: Mapping[str, Any], *, names: Mapping[str, str], scratch: Path, keep_bad: bool
) -> TextRows:
    """
    Return the rows of CSV files. Columns are matched by name, without case.

    :param options: Options of the reader.
    :param names: Lower-case name of a column of the table to its name.
    :param scratch: A folder for copies of files that DuckDB cannot read.
    :param keep_bad: Leave out rows with a wrong number of fields, for `rejected_rows`; else they are an error.
    :raises DataError: a header names a column twice, or there is a quote in the middle of a field.
    """
    casing = dict(names)
    presence: dict[str, Presence] = {}
    groups: dict[tuple[tuple[str, ...], Path | None], list[Path]] = {}
    for path in paths:
        header = header_of(path, options)
        if header is None:
            continue
        _check_header(path, header)
        columns = tuple(casing.setdefault(name.lower(), name) for name in header)
        presence[str(path)] = Presence(frozenset(columns), frozenset(columns))
        readable = readable_by_duckdb(path, options, scratch)
        groups.setdefault((columns, None if readable == path else path), []).append(readable)
    selects = [_select(columns, files, options, original, keep_bad) for (columns, original), files in groups.items()]
    every = dict.fromkeys(name for columns, _ in groups for name in columns)
    return TextRows(" UNION ALL BY NAME ".join(selects), dict.fromkeys(every, ALL_FAMILIES), presence=presence)


def rejected_rows(database: duckdb.DuckDBPyConnection) -> list[RejectedRow]:
    """Return the rows that DuckDB left out of the queries of this connection so far."""
    tables = {row[0] for row in database.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "reject_errors" not in tables:
        return []
    query = """
        SELECT DISTINCT ON (file_path, line_byte_position) file_path, line_byte_position, error_message, csv_line
        FROM reject_errors JOIN reject_scans USING (scan_id, file_id) ORDER BY file_path, line_byte_position
    """
    return [
        RejectedRow(name, _line_at(Path(name), position), _reason(message), raw=raw)
        for name, position, message, raw in database.sql(query).fetchall()
    ]


def _line_at(path: Path, position: int) -> int:
    """Return the line of a byte of a file, which may be compressed."""
    line, left = 1, position
    with open_bytes(path) as stream:
        while left > 0 and (block := stream.read(min(left, 1 << 20))):
            line += block.count(b"\n")
            left -= len(block)
    return line


def record_places(path: Path, options: Mapping[str, Any], ordinals: Sequence[int]) -> dict[int, tuple[int, str]]:
    """
    Return ordinal -> first line and text of these records of a file, counted from 1 without the header.

    Records with a wrong number of fields do not count: DuckDB leaves them out.
    """
    wanted = set(ordinals)
    places: dict[int, tuple[int, str]] = {}
    width = len(header_of(path, options) or ())
    with open_text(path, encoding_of(options)) as lines:
        complete = (record for record in csv_records(lines, options) if len(record[1]) == width)
        for ordinal, (line, fields) in enumerate(complete, start=0 if options.get("header", True) else 1):
            if ordinal in wanted and ordinal:
                places[ordinal] = (line, str(options.get("delim", ",")).join(fields))
                if len(places) == len(wanted):
                    break
    return places


def _reason(message: str) -> str:
    text = message.strip().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}"


def _check_header(path: Path, header: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in header:
        if name.lower() in seen:
            raise DataError(
                f"`source`: `{path}`, line 1: the header names the column `{name}` twice (names are compared without "
                "case)",
                hint="rename one of them in the file",
            )
        seen[name.lower()] = name


def _select(
    columns: Sequence[str], files: Sequence[Path], options: Mapping[str, Any], original: Path | None, keep_bad: bool
) -> str:
    dialect = {**_DIALECT, **{name: value for name, value in options.items() if name in _PASSED}}
    if original is not None:
        dialect = {**_DIALECT, **{name: dialect[name] for name in ("header", "nullstr") if name in dialect}}
    named = {
        **dialect,
        "auto_detect": False,
        "strict_mode": True,
        "filename": SOURCE,
        "columns": dict.fromkeys(columns, "VARCHAR"),
        **({"store_rejects": True} if keep_bad else {}),
    }
    arguments = ", ".join(f"{name}={duck.value(value)}" for name, value in named.items())
    paths = duck.value([glob.escape(str(path)) for path in files])
    source = duck.identifier(SOURCE) if original is None else f"{duck.literal(str(original))} AS {SOURCE}"
    selected = ", ".join([*map(duck.identifier, columns), source])
    return f"SELECT {selected} FROM read_csv({paths}, {arguments})"  # noqa: S608  # all parts are quoted
