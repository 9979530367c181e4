"""Explain why a file cannot be read: shorten DuckDB's messages, and find the line if DuckDB does not name it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from airflow_wall.errors import DataError
from airflow_wall.sources.text_files import csv_records, encoding_of, open_text

_CSV_LINE = re.compile(r"CSV Error on Line: (?P<line>\d+)")
_ANY_LINE = re.compile(r"in line (?P<line>\d+)")
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_CONVERTED = re.compile(
    r'column "(?P<column>[^"]*)". Could not convert string "(?P<value>.*)" to \'?(?P<type>[^\'\n]+)'
)


def broken_file_error(error: Exception, paths: Sequence[Path], kind: str, options: Mapping[str, Any]) -> DataError:
    """
    Return the error that names the broken file, its line and the reason.

    :param error: The error that DuckDB raised while it read files.
    :param paths: The files.
    :param options: Options of the reader, e.g. the delimiter.
    """
    text = str(error)
    named = list(paths) if len(paths) == 1 else [path for path in paths if str(path) in text]
    file = max(named, key=lambda path: len(str(path)), default=None)
    if file is None:  # DuckDB does not name the file
        file = next((path for path in paths if _find_fault(path, kind, options)[1] is not None), None)
    if file is None:
        return DataError(
            f"`source` cannot be read as {kind}: {_reason(text)}",
            hint="correct the files, or describe them in `format` and `options`",
        )
    place, reason = _line_and_reason(text, file, kind, options)
    return DataError(
        f"`source`: `{file}`{'' if place is None else f', line {place}'}: {reason}",
        hint=f"correct or remove the file, or describe it in `options` (it is read as {kind})",
    )


def _line_and_reason(text: str, file: Path, kind: str, options: Mapping[str, Any]) -> tuple[int | None, str]:
    line = _CSV_LINE.search(text) or _ANY_LINE.search(text)
    place = int(line["line"]) if line is not None else None
    value = _CONVERTED.search(text)
    if value is not None:
        return place, f"column `{value['column']}` must be {value['type'].strip()}, got `{value['value']}`"
    own_line, reason = _find_fault(file, kind, options)
    if reason is not None:
        return own_line, reason
    return place, _reason(text).replace(f' in file "{file}", in line {place}', "")


def _find_fault(file: Path, kind: str, options: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return line and reason of the first fault that Python's own readers find, or (None, None)."""
    try:
        with open_text(file, encoding_of(options)) as lines:
            if kind == "csv":
                return _find_csv_fault(lines, options)
            if kind == "jsonl":
                return _find_jsonl_fault(lines)
    except UnicodeDecodeError as error:
        return None, f"it must be {error.encoding}, got the byte `0x{error.object[error.start]:02x}`"
    except (OSError, EOFError, LookupError, ValueError, TypeError) as error:
        return None, str(error)
    return None, None


def _find_csv_fault(lines: TextIO, options: Mapping[str, Any]) -> tuple[int | None, str | None]:
    width, line = None, 0
    try:
        for line, fields in csv_records(lines, options, strict=True):
            width = len(fields) if width is None else width
            if len(fields) != width:
                return line, f"it must have {width} fields like the first line, got {len(fields)}"
    except csv.Error as error:
        return line + 1, str(error)
    return None, None


def _find_jsonl_fault(lines: TextIO) -> tuple[int | None, str | None]:
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                json.loads(line)
        except ValueError as error:
            return number, f"it is not valid JSON: {error}"
    return None, None


def _reason(text: str) -> str:
    """Return the sentence with the fault, without the advice, settings and query around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    sentences = [line for line in lines if not line.startswith(("Original Line:", "Possible", "LINE ", "file ="))]
    first = _KIND.sub("", sentences[0])
    return sentences[1] if first.startswith("CSV Error on Line") and len(sentences) > 1 else first
