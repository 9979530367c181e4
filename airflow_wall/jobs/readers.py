"""
Files to rows: CSV, JSON lines and Parquet, plain or gzipped, many at once, by DuckDB.

A CSV has a header line, commas and double quotes unless `options` say otherwise: what is guessed for one file may be
guessed otherwise for the next. Types are inferred for columns that the table does not have yet; a column that it has
is read in its type, so that an empty column or an integer in place of a float changes nothing.
"""

from __future__ import annotations

import difflib
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall import duck
from airflow_wall.errors import DataError
from airflow_wall.jobs.broken_files import broken
from airflow_wall.storage.base import SOURCE, SourceVersion

FORMATS = ("csv", "jsonl", "parquet")
"""What `format` may be."""

_EXTENSIONS = {
    ".csv": "csv", ".csv.gz": "csv", ".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".ndjson": "jsonl",
    ".ndjson.gz": "jsonl", ".parquet": "parquet",
}  # fmt: skip
_OPTIONS = {
    "csv": ("delim", "quote", "escape", "header", "skip", "comment", "nullstr", "dateformat", "timestampformat",
            "decimal_separator", "thousands", "encoding", "null_padding", "types"),
    "jsonl": ("dateformat", "timestampformat", "types"),
    "parquet": (),
}  # fmt: skip
_CSV_DEFAULTS: dict[str, Any] = {
    "delim": ",", "quote": '"', "escape": '"', "comment": "", "header": True, "skip": 0, "null_padding": False,
    "strict_mode": True, "sample_size": -1, "hive_partitioning": False,
}  # fmt: skip
_LISTED = 8


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """
    Refuse options that the format does not have.

    :raises DataError: naming the option and those there are.
    """
    for name in options:
        if name not in _OPTIONS[kind]:
            near = difflib.get_close_matches(name, _OPTIONS[kind], n=1)
            raise DataError(
                f"`options` of format `{kind}` have no `{name}` "
                f"(there {'are ' + ', '.join(_OPTIONS[kind]) if _OPTIONS[kind] else 'are none'})",
                hint=f"did you mean `{near[0]}`?" if near else "remove it",
            )


def format_of(paths: Sequence[Path], wanted: str | None) -> str:
    """
    Return the format that all files have, by the key `format` or by their names.

    :raises DataError: it is none of `FORMATS`, a name says nothing, or two files differ.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            raise DataError(f"`format` must be one of {', '.join(f'`{name}`' for name in FORMATS)}, got `{wanted}`")
        return wanted
    found: dict[str, Path] = {}
    for path in paths:
        ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
        if ending.lower() not in _EXTENSIONS:
            raise DataError(
                f"`source`: the name of `{path}` does not say its format",
                hint=f"write `format:` with one of {', '.join(FORMATS)}, or a pattern such as `*.csv` in `source`",
            )
        found.setdefault(_EXTENSIONS[ending.lower()], path)
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise DataError(
            f"`source`: `{first}` is {one} and `{second}` is {other}; one ingest reads one format",
            hint=f"write a pattern such as `*{first.suffix}` in `source`",
        )
    return next(iter(found))


def read_files(
    files: Mapping[Path, SourceVersion], *, kind: str, options: Mapping[str, Any], known: pa.Schema
) -> pa.Table:
    """
    Return the rows of all files, columns matched by name, with the column `_wall_source`.

    :param files: Path of each file, and the version it is.
    :param known: Columns that the table has.
    :raises DataError: a file is broken, or a value does not fit its column: with file, line and reason.
    """
    paths = [path for path in files if kind == "parquet" or path.stat().st_size > 0]
    if not paths:
        return pa.table({})
    types = _forced(known) | {str(name): str(wanted) for name, wanted in options.get("types", {}).items()}
    rest = {name: value for name, value in options.items() if name != "types"}
    with duck.connect() as database:
        try:
            rows = _read(database, paths, kind, rest, types)
        except duckdb.Error as error:
            raise broken(error, paths, kind, rest) from error
    _check_typed(options.get("types", {}), [*rows.column_names, *known.names])
    rows = rows if kind == "parquet" else _as_known(rows, known)
    return _named(rows, {str(path): version.uri for path, version in files.items()})


def _check_typed(types: Mapping[str, str], columns: Sequence[str]) -> None:
    for name in types:
        if name.lower() not in {column.lower() for column in columns}:
            near = difflib.get_close_matches(name, columns, n=1)
            raise DataError(
                f"`options.types`: the files have no column `{name}` "
                f"(they have: {', '.join(column for column in columns if column != SOURCE)})",
                hint=f"did you mean `{near[0]}`?" if near else "remove it",
            )


def _read(
    database: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    kind: str,
    options: Mapping[str, Any],
    types: Mapping[str, str],
) -> pa.Table:
    """Read all files; which of the typed columns they have is asked for only where it matters, for it costs a pass."""
    if kind == "parquet" or not types:
        return _query(database, _call(paths, kind, options, {}))
    if kind == "csv":
        try:
            return _query(database, _call(paths, kind, options, types))
        except duckdb.BinderException as error:
            if "do not exist in the CSV File" not in str(error):
                raise
    every = _query(database, _call(paths, kind, options, {}), describe=True)
    names, kinds = (map(str, every.column(name).to_pylist()) for name in ("column_name", "column_type"))
    found = dict(zip(names, kinds, strict=True))
    found.pop(SOURCE)
    casing = {name.lower(): wanted for name, wanted in types.items()}
    if kind == "jsonl":  # its `columns` must name all
        chosen = {name: casing.get(name.lower(), inferred) for name, inferred in found.items()}
    else:
        chosen = {name: casing[name.lower()] for name in found if name.lower() in casing}
    return _query(database, _call(paths, kind, options, chosen))


def _query(database: duckdb.DuckDBPyConnection, call: str, *, describe: bool = False) -> pa.Table:
    query = f"SELECT * FROM {call}"  # noqa: S608  # its parts are quoted
    rows: pa.Table = database.sql(f"DESCRIBE {query}" if describe else query).to_arrow_table()
    return rows


def _call(paths: Sequence[Path], kind: str, options: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """The table function that reads the files, e.g. `read_csv(['a.csv'], union_by_name=true, ...)`."""
    named: dict[str, Any] = {"union_by_name": True, "filename": SOURCE, "hive_partitioning": False}
    if kind == "csv":
        named |= _CSV_DEFAULTS | dict(options) | ({"types": dict(types)} if types else {})
    elif kind == "jsonl":
        named |= {"format": "newline_delimited", "sample_size": -1} | dict(options)
        named |= {"columns": dict(types)} if types else {}
    function = {"csv": "read_csv", "jsonl": "read_json", "parquet": "read_parquet"}[kind]
    arguments = [_value([glob.escape(str(path)) for path in paths])]
    return f"{function}({', '.join([*arguments, *(f'{name}={_value(value)}' for name, value in named.items())])})"


def _value(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{duck.literal(str(key))}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return duck.literal(str(value))


def _forced(known: pa.Schema) -> dict[str, str]:
    """
    DuckDB types of the columns that a table has.

    Integers are not forced: DuckDB would round `3.7` to 4 without a word. They are inferred, and compared afterwards.
    """
    kinds = {field.name: _duck_type(field.type) for field in known if field.name != SOURCE}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _duck_type(kind: pa.DataType) -> str | None:
    if isinstance(kind, pa.TimestampType):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    if isinstance(kind, pa.Decimal128Type):
        return f"DECIMAL({kind.precision},{kind.scale})"
    simple = {
        pa.string(): "VARCHAR",
        pa.float64(): "DOUBLE",
        pa.float32(): "FLOAT",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
    }
    return simple.get(kind)


def _as_known(rows: pa.Table, known: pa.Schema) -> pa.Table:
    """The rows with columns in the types of the table where no value is lost by that: `3.0` is an integer too."""
    casing = {name.lower(): name for name in known.names}
    for place, field in enumerate(rows.schema):
        name = casing.get(field.name.lower())
        if name is None or field.name == SOURCE or known.field(name).type == field.type:
            continue
        wanted, column = known.field(name).type, rows.column(place)
        if column.null_count == len(column):
            rows = rows.set_column(place, field.name, pa.nulls(len(column), wanted))
            continue
        try:
            rows = rows.set_column(place, field.name, column.cast(wanted))
        except pa.ArrowException:
            raise _misfit(rows, place, name, wanted) from None
    return rows


def _misfit(rows: pa.Table, place: int, name: str, wanted: pa.DataType) -> DataError:
    for path, value in zip(rows.column(SOURCE), rows.column(place), strict=True):
        try:
            value.cast(wanted)
        except pa.ArrowException:
            return DataError(
                f"`source`: `{path}`: column `{name}` holds `{value}`, and in the table it has type `{wanted}`",
                hint="mend the value, or write to another table",
            )
    raise AssertionError(f"every value of `{name}` fits `{wanted}` alone, but not the column")


def _named(rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """The rows with the uri of each file in place of its path."""
    paths = rows.column(SOURCE).combine_chunks()
    known = pa.array(list(names), pa.string())
    uris = pa.array(list(names.values()), pa.string()).take(pc.index_in(paths, known))
    return rows.set_column(rows.column_names.index(SOURCE), SOURCE, uris)
