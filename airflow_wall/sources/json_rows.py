"""
Read files of JSON as texts with DuckDB: one object per line, or one list of objects.

DuckDB reads a number with many digits as the nearest double. A number that would lose digits is found before.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError
from airflow_wall.sources.text_files import open_text
from airflow_wall.sources.text_rows import Presence, RejectedRow, TextRows
from airflow_wall.storage.base import SOURCE

_LONG_NUMBER = re.compile(r"[0-9][0-9.]{15,}")
_BLOCK = 1 << 20
_FAMILIES = {"BIGINT": "number", "UBIGINT": "number", "DOUBLE": "number", "BOOLEAN": "boolean", "VARCHAR": "time"}
_NESTED = ("OBJECT", "ARRAY")
_LEAVES: dict[str, pa.DataType] = {
    "BIGINT": pa.int64(),
    "UBIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
}


def json_rows(
    database: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    *,
    kind: str,
    names: Mapping[str, str],
    scratch: Path,
    keep_bad: bool,
) -> TextRows:
    """
    Return the rows of JSON files. Columns are matched by name.

    :param kind: `jsonl` for an object per line; `json` for that, or for a list of objects.
    :param names: Lower-case name of a column of the table to its name.
    :param scratch: A folder for copies without the lines that cannot be stored.
    :param keep_bad: Leave out lines that cannot be stored, and return them; else they are an error.
    :raises DataError: a line cannot be stored, or a file of lines holds one list.
    :raises duckdb.Error: a file is not JSON.
    """
    rejected: list[RejectedRow] = []
    formats: dict[str, list[Path]] = {}
    originals: dict[Path, Path] = {}
    for path in paths:
        format_ = _format_of(path, kind)
        bad = [] if _is_readable(database, path, format_) else _bad_rows(path, _not_an_object, format_)
        if _has_long_number(path):
            bad += [row for row in _bad_rows(path, _lost_digits, format_) if row.line not in {row.line for row in bad}]
        if bad and (not keep_bad or format_ == "array"):
            where = f"`{path}`" if bad[0].line is None else f"`{path}`, line {bad[0].line}"
            raise DataError(f"`source`: {where}: {bad[0].reason}", hint=_hint(format_))
        rejected += bad
        copy = _without(path, {row.line for row in bad}, scratch) if bad else path
        originals[copy] = path
        formats.setdefault(format_, []).append(copy)
    described = [_described(database, files, format_) for format_, files in formats.items()]
    columns = list(dict.fromkeys(name for types in described for name in types))
    if not columns:
        return TextRows("", {}, rejected=tuple(rejected))
    selects = [
        f"SELECT * FROM {_call(files, format_, dict.fromkeys(types, 'JSON'))}"  # noqa: S608  # all parts are quoted
        for (format_, files), types in zip(formats.items(), described, strict=True)
    ]
    rows = f"({' UNION ALL BY NAME '.join(selects)})"
    kinds = _kinds(database, rows, columns)
    families: dict[str, tuple[str, ...]] = {}
    nested: dict[str, pa.DataType] = {}
    selected = []
    for column in columns:
        name, quoted = names.get(column.lower(), column), duck.identifier(column)
        if len(kinds[column]) == 1 and kinds[column] <= set(_NESTED):
            nested[name] = _nested_type(database, rows, column)
            selected.append(f"{quoted} AS {duck.identifier(name)}")
        else:
            families[name] = _families(kinds[column])
            text = f"CASE json_type({quoted}) WHEN 'VARCHAR' THEN {quoted} ->> '$' ELSE CAST({quoted} AS VARCHAR) END"
            selected.append(f"{text} AS {duck.identifier(name)}")
    presence = _presence(database, rows, columns, names, originals)
    query = f"SELECT {', '.join([*selected, _path(originals)])} FROM {rows}"  # noqa: S608  # all parts are quoted
    return TextRows(query, families, nested, presence, tuple(rejected))


def json_places(path: Path, ordinals: Sequence[int], left_out: set[int | None]) -> dict[int, tuple[int, str]]:
    """Return ordinal -> number and text of these lines of a file, counted from 1 without empty and left out ones."""
    wanted = set(ordinals)
    places: dict[int, tuple[int, str]] = {}
    with open_text(path, "utf-8") as lines:
        numbered = enumerate(lines, start=1)
        kept = ((number, line) for number, line in numbered if line.strip() and number not in left_out)
        for ordinal, (number, line) in enumerate(kept, start=1):
            if ordinal in wanted:
                places[ordinal] = (number, line.rstrip("\r\n"))
    return places


def _format_of(path: Path, kind: str) -> str:
    first = ""
    with open_text(path, "utf-8") as lines:
        while not first and (block := lines.read(_BLOCK)):
            first = block.lstrip()[:1]
    if first == "[" and kind == "jsonl":
        raise DataError(
            f"`source`: `{path}` holds one JSON list, and `jsonl` is one object per line",
            hint="write `format: json`, or write each object on a line of its own",
        )
    return "array" if first == "[" else "newline_delimited" if kind == "jsonl" else "unstructured"


def _hint(format_: str) -> str:
    return "correct the file" if format_ == "array" else "correct the line, or write `bad_rows: quarantine`"


def _has_long_number(path: Path) -> bool:
    """Return True if a number may have more digits than a double holds."""
    rest = ""
    with open_text(path, "utf-8") as lines:
        while block := lines.read(_BLOCK):
            if _LONG_NUMBER.search(rest + block):
                return True
            rest = block[-16:]
    return False


def _is_readable(database: duckdb.DuckDBPyConnection, path: Path, format_: str) -> bool:
    try:
        database.sql(f"SELECT count(COLUMNS(*)) FROM {_call([path], format_, {})}").fetchall()  # noqa: S608
    except duckdb.Error:
        return False
    return True


def _bad_rows(path: Path, reason: Callable[[str], str | None], format_: str) -> list[RejectedRow]:
    """Return the lines that have a reason to be rejected; of a file that is one document, the document."""
    with open_text(path, "utf-8") as lines:
        if format_ != "newline_delimited":
            why = reason(lines.read())
            return [RejectedRow(str(path), None, why)] if why else []
        numbered: Iterable[tuple[int, str]] = enumerate(lines, start=1)
        return [
            RejectedRow(str(path), number, why, raw=line.rstrip("\r\n"))
            for number, line in numbered
            if line.strip() and (why := reason(line)) is not None
        ]


def _not_an_object(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"it is not valid JSON: {error}"
    is_object = isinstance(value, dict) or (isinstance(value, list) and all(isinstance(row, dict) for row in value))
    return None if is_object else f"it must be a JSON object, got `{text.strip()[:40]}`"


def _lost_digits(text: str) -> str | None:
    lost: list[str] = []

    def exact(number: str) -> float:
        value = float(number)
        if Decimal(repr(value)) != Decimal(number) and f"{value:.17g}" != number:
            lost.append(number)
        return value

    def whole(number: str) -> int:
        if len(number.lstrip("-")) > 38:
            lost.append(number)
        return 0

    try:
        json.loads(text, parse_float=exact, parse_int=whole)
    except ValueError:
        return None  # `_not_an_object` says so
    return f"the number `{lost[0]}` has more digits than a number of JSON keeps; write it as text" if lost else None


def _without(path: Path, numbers: set[int | None], scratch: Path) -> Path:
    copy = scratch / f"{len(list(scratch.iterdir()))}.jsonl"
    with open_text(path, "utf-8") as lines, copy.open("w", encoding="utf-8", newline="") as output:
        output.writelines(line for number, line in enumerate(lines, start=1) if number not in numbers)
    return copy


def _described(database: duckdb.DuckDBPyConnection, files: Sequence[Path], format_: str) -> dict[str, str]:
    """Return column to DuckDB's type. This costs a pass over the files."""
    query = f"DESCRIBE SELECT * EXCLUDE ({SOURCE}) FROM {_call(files, format_, {})}"  # noqa: S608
    rows = database.sql(query).to_arrow_table()
    return dict(zip(*(map(str, rows.column(name).to_pylist()) for name in ("column_name", "column_type")), strict=True))


def _call(files: Sequence[Path], format_: str, columns: Mapping[str, str]) -> str:
    options: dict[str, Any] = {
        "format": format_,
        "records": "true",
        "filename": SOURCE,
        "sample_size": -1,
        "maximum_object_size": 1 << 28,
        "map_inference_threshold": -1,
        "union_by_name": True,
    }
    if columns:
        options["columns"] = dict(columns)
    arguments = ", ".join(f"{name}={duck.value(value)}" for name, value in options.items())
    return f"read_json({duck.value([glob.escape(str(path)) for path in files])}, {arguments})"


def _kinds(database: duckdb.DuckDBPyConnection, rows: str, columns: Sequence[str]) -> dict[str, set[str]]:
    """Return column to the kinds of its JSON values."""
    wanted = ", ".join(f"list(DISTINCT json_type({duck.identifier(column)}))" for column in columns)
    (row,) = database.sql(f"SELECT {wanted} FROM {rows}").fetchall()  # noqa: S608  # all parts are quoted
    return {
        column: {str(kind) for kind in kinds or [] if kind not in (None, "NULL")}
        for column, kinds in zip(columns, row, strict=True)
    }


def _families(kinds: set[str]) -> tuple[str, ...]:
    """Return the families of types that a column may have. Texts of digits stay text, and so do mixtures."""
    families = {_FAMILIES.get(kind, "") for kind in kinds}
    (family,) = families if len(families) == 1 else ("",)
    return (family,) if family else () if kinds else ("boolean", "number", "time")


def _nested_type(database: duckdb.DuckDBPyConnection, rows: str, column: str) -> pa.DataType:
    """Return the type of a column of objects or lists, with texts as they are written."""
    query = f"SELECT json_group_structure({duck.identifier(column)}) FROM {rows}"  # noqa: S608  # all parts are quoted
    return _from_structure(json.loads(str(database.sql(query).fetchall()[0][0])))


def _from_structure(structure: Any) -> pa.DataType:
    if isinstance(structure, dict):
        return pa.struct([(name, _from_structure(inner)) for name, inner in structure.items()])
    if isinstance(structure, list):
        return pa.list_(_from_structure(structure[0]))
    return _LEAVES.get(str(structure), pa.string())


def structure_of(type_: pa.DataType) -> Any:
    """Return the structure by which DuckDB reads JSON as this type."""
    if isinstance(type_, pa.StructType):
        return {field.name: structure_of(field.type) for field in type_}
    if isinstance(type_, pa.ListType):
        return [structure_of(type_.value_type)]
    return next((name for name, leaf in _LEAVES.items() if leaf == type_), "VARCHAR")


def _presence(
    database: duckdb.DuckDBPyConnection,
    rows: str,
    columns: Sequence[str],
    names: Mapping[str, str],
    originals: Mapping[Path, Path],
) -> dict[str, Presence]:
    """Return file to the columns that it has. JSON often leaves out a key without a value."""
    counts = ", ".join(f"count({duck.identifier(column)})" for column in columns)
    query = f"SELECT {SOURCE}, count(*), {counts} FROM {rows} GROUP BY ALL"  # noqa: S608  # all parts are quoted
    known = [names.get(column.lower(), column) for column in columns]
    return {
        str(originals[Path(path)]): Presence(
            frozenset(name for name, count in zip(known, given, strict=True) if count),
            frozenset(name for name, count in zip(known, given, strict=True) if count == total),
        )
        for path, total, *given in database.sql(query).fetchall()
    }


def _path(originals: Mapping[Path, Path]) -> str:
    moved = {copy: path for copy, path in originals.items() if copy != path}
    cases = " ".join(f"WHEN {duck.literal(str(copy))} THEN {duck.literal(str(path))}" for copy, path in moved.items())
    return f"CASE {SOURCE} {cases} ELSE {SOURCE} END AS {SOURCE}" if moved else SOURCE
