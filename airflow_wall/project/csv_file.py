"""A CSV file of the user: its notation, the types of its columns as `ingest` infers them, and its values."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_wall.errors import DataError, WallError
from airflow_wall.lake.lake import Lake
from airflow_wall.models.features import family, to_frame
from airflow_wall.sources.delivery import Rules, read_delivery
from airflow_wall.sources.text_files import csv_records, open_text
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.contract import Contract
from airflow_wall.storage.staging import Staging

_SUFFIXES = (".csv", ".tsv", ".txt")
_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 200
"""Number of records that decide the delimiter."""

_COMMA_NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+")
_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_UNSAFE_NAME = re.compile(r"\{\{|\{%|\{#|[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Column:
    """
    A column.

    :param type: Its Arrow type; `null` without a value.
    :param family: `number`, `boolean`, `text` or `time`.
    :param values: Its values, in pandas' type.
    :param distinct: Number of different values.
    """

    name: str
    type: pa.DataType
    family: str
    values: pd.Series[Any]
    distinct: int

    @property
    def nulls(self) -> int:
        """Number of rows without a value; NaN counts as none."""
        return int(self.values.isna().sum())


@dataclass(frozen=True)
class CsvFile:
    """
    A file.

    :param options: Options of `ingest` that read it.
    :param contract: The columns and their types, as a pipeline declares them.
    """

    path: Path
    options: Mapping[str, str]
    contract: Mapping[str, Any]
    columns: Mapping[str, Column]
    rows: int


def read_csv_file(path: Path) -> CsvFile:
    """
    Return a file and what its values are.

    :raises WallError: it is not a CSV file, or `ingest` would reject it.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise WallError(
            f"`{path}` must be a CSV file, got `{path.suffix or path.name}`", hint="save it as `.csv` first"
        )
    encoding = _encoding(path)
    options = {} if encoding == "utf-8" else {"encoding": encoding}
    delimiter = _delimiter(path, encoding)
    if delimiter != ("\t" if path.suffix.lower() == ".tsv" else ","):
        options["delim"] = delimiter
    read = {"delim": delimiter, **options}
    _check_header(path, read)
    delivery = _read(path, read)
    for more in _notations(delivery, delimiter):
        other = _read(path, {**read, **more})
        if _typed(other) > _typed(delivery):
            options, read, delivery = {**options, **more}, {**read, **more}, other
    rows = delivery.rows.drop_columns([SOURCE]) if SOURCE in delivery.rows.column_names else delivery.rows
    frame = to_frame(rows)
    types = delivery.contract.types()
    columns = {
        field.name: Column(
            field.name,
            types.get(field.name, pa.null()),
            family(field.type),
            frame[field.name],
            pc.count_distinct(rows.column(field.name)).as_py(),
        )
        for field in rows.schema
    }
    if unsafe := next((name for name in columns if _UNSAFE_NAME.search(name)), None):
        raise DataError(
            f"`{path}`, line 1: the name of column {unsafe!r} has signs that a pipeline cannot hold",
            hint="rename the column: no line breaks, and no `{{`, `{%` or `{#`",
        )
    return CsvFile(path, options, delivery.contract.declared(), columns, rows.num_rows)


def _encoding(path: Path) -> str:
    """Return the encoding: UTF-8, UTF-16 by its mark, else Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf_8 = True
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        while block := file.read(1 << 20):
            if b"\x00" in block:
                raise WallError(
                    f"`{path}` must be a CSV file, got bytes that are not text", hint="save it as CSV first"
                )
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf_8 = False
                decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return "utf-8" if is_utf_8 else "cp1252"


def _delimiter(path: Path, encoding: str) -> str:
    """
    Return the delimiter: the one that splits the header into most columns, and most records into as many.

    :raises WallError: the file has no rows, or a single column.
    """
    best, score = ",", (0.0, 1)
    seen = 0
    for delimiter in _DELIMITERS:
        with open_text(path, encoding) as lines:
            records = _records(lines, {"delim": delimiter})
            widths = [len(fields) for _, fields in itertools.islice(records, _LOOKED_AT)]
        seen = max(seen, len(widths))
        if len(widths) > 1 and widths[0] > 1:
            equal = sum(width == widths[0] for width in widths) / len(widths)
            best, score = max((best, score), (delimiter, (round(equal, 1), widths[0])), key=lambda pair: pair[1])
    if seen < 2:
        got = "one line" if seen else "an empty file"
        raise WallError(f"`{path}` must have a header and rows, got {got}", hint="name a file with rows")
    if score[1] == 1:
        raise WallError(
            f"`{path}` must have several columns, with `,`, `;`, a tab or `|` between them, got one",
            hint="save it with one of these delimiters",
        )
    return best


def _records(lines: Any, options: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from csv_records(lines, options)
    except csv.Error:  # the reading itself reports it, with its line
        return


def _check_header(path: Path, options: Mapping[str, str]) -> None:
    """
    Check that the first line is a header. A column without a name is called `column0`, as `ingest` calls it.

    :raises DataError: names are numbers, as in a row.
    """
    with open_text(path, options.get("encoding", "utf-8")) as lines:
        _, header = next(iter(_records(lines, options)))
    numbers = [name.strip() for name in header if re.fullmatch(r"[+-]?\d+([.,]\d+)?", name.strip())]
    if 2 * len(numbers) >= len(header) or any(not name.isdecimal() for name in numbers):
        raise DataError(
            f"`{path}`, line 1: must be a header with the name of each column, got the value `{numbers[0]}`",
            hint="write a first line with names",
        )


@dataclass(frozen=True)
class _Reading:
    rows: pa.Table
    contract: Contract


def _read(path: Path, options: Mapping[str, str]) -> _Reading:
    with tempfile.TemporaryDirectory(prefix="airflow-wall-") as scratch:
        rules = Rules("the file", Contract(), staging=Staging(Lake(scratch), "rows"))
        delivery = read_delivery({path: SourceVersion(str(path), "")}, kind="csv", options=options, rules=rules)
        return _Reading(delivery.staged.scan.to_table(), delivery.contract)


def _typed(delivery: _Reading) -> int:
    """Return the number of columns that are not texts."""
    return sum(not pa.types.is_string(type_) for type_ in delivery.contract.types().values())


def _notations(delivery: _Reading, delimiter: str) -> Iterator[dict[str, str]]:
    """Yield options that may read more columns of texts: a decimal comma, and days before or after months."""
    texts = []
    for name, type_ in delivery.contract.types().items():
        if pa.types.is_string(type_):
            values = [value.strip() for value in delivery.rows.column(name).to_pylist() if value and value.strip()]
            texts.append(values)
    if delimiter != "," and any(values and all(map(_COMMA_NUMBER.fullmatch, values)) for values in texts):
        grouped = any("." in value for values in texts if all(map(_COMMA_NUMBER.fullmatch, values)) for value in values)
        yield {"decimal_separator": ",", **({"thousands": "."} if grouped else {})}
    for values in texts:
        days = [_DAY.fullmatch(value) for value in values]
        if values and all(days):
            sign = values[0].strip("0123456789")[:1]
            if any(int(day[1]) > 12 for day in days if day):
                yield {"dateformat": f"%d{sign}%m{sign}%Y"}
            elif any(int(day[3]) > 12 for day in days if day):
                yield {"dateformat": f"%m{sign}%d{sign}%Y"}
