"""Where a file is broken, and how: DuckDB's long messages made short, with the line it does not always know."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from airflow_wall.errors import DataError

_CSV_LINE = re.compile(r"CSV Error on Line: (?P<line>\d+)")
_ANY_LINE = re.compile(r"in line (?P<line>\d+)")
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_CONVERTED = re.compile(
    r'column "(?P<column>[^"]*)". Could not convert string "(?P<value>.*)" to \'?(?P<type>[^\'\n]+)'
)


def broken(error: Exception, paths: Sequence[Path], kind: str, options: Mapping[str, Any]) -> DataError:
    """
    Return the error that tells the user which file is broken, in which line, and why.

    :param error: What DuckDB raised while it read files.
    :param paths: The files.
    :param options: Options of the reader, e.g. the delimiter.
    """
    text = str(error)
    named = [path for path in paths if str(path) in text]
    file = max(named, key=lambda path: len(str(path)), default=None)
    if file is None:  # DuckDB does not say which
        file = next((path for path in paths if _examined(path, kind, options)[1] is not None), None)
    if file is None:
        return DataError(f"`source` cannot be read as {kind}: {_reason(text)}")
    place, reason = _found(text, file, kind, options)
    return DataError(
        f"`source`: `{file}`{'' if place is None else f', line {place}'}: {reason}",
        hint=f"mend or remove the file, or describe it in `options` (it is read as {kind})",
    )


def _found(text: str, file: Path, kind: str, options: Mapping[str, Any]) -> tuple[int | None, str]:
    line = _CSV_LINE.search(text) or _ANY_LINE.search(text)
    place = int(line["line"]) if line is not None else None
    value = _CONVERTED.search(text)
    if value is not None:
        return place, f"column `{value['column']}` holds `{value['value']}`, which is no {value['type'].strip()}"
    examined, reason = _examined(file, kind, options)
    if reason is not None:
        return examined, reason
    return place, _reason(text).replace(f' in file "{file}", in line {place}', "")


def _examined(file: Path, kind: str, options: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Line and reason as Python's own readers find them; (None, None) where they find nothing wrong."""
    try:
        with _opened(file, str(options.get("encoding", "utf-8"))) as lines:
            if kind == "csv":
                return _examined_csv(lines, options)
            if kind == "jsonl":
                return _examined_jsonl(lines)
    except UnicodeDecodeError as error:
        return None, f"it is not {error.encoding}: byte `0x{error.object[error.start]:02x}`"
    except (OSError, EOFError, LookupError, ValueError, TypeError) as error:
        return None, str(error)
    return None, None


def _examined_csv(lines: TextIO, options: Mapping[str, Any]) -> tuple[int | None, str | None]:
    reader = csv.reader(
        itertools.islice(lines, int(options.get("skip", 0)), None),
        delimiter=str(options.get("delim", ",")),
        quotechar=str(options.get("quote", '"')) or None,
        strict=True,
    )
    width = None
    try:
        for fields in reader:
            width = len(fields) if width is None else width
            if fields and len(fields) != width:
                return reader.line_num, f"{len(fields)} fields, and the first line has {width}"
    except csv.Error as error:
        return reader.line_num, str(error)
    return None, None


def _examined_jsonl(lines: TextIO) -> tuple[int | None, str | None]:
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                json.loads(line)
        except ValueError as error:
            return number, f"no JSON: {error}"
    return None, None


@contextmanager
def _opened(file: Path, encoding: str) -> Iterator[TextIO]:
    if file.suffix == ".gz":
        with gzip.open(file, "rt", encoding=encoding, newline="") as packed:
            yield packed
    else:
        with file.open(encoding=encoding, newline="") as plain:
            yield plain


def _reason(text: str) -> str:
    """The sentence that says what is wrong, without the advice, the settings and the query around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Original Line:", "Possible", "LINE ", "file ="))]
    first = _KIND.sub("", telling[0])
    return telling[1] if first.startswith("CSV Error on Line") and len(telling) > 1 else first
