"""
Formats of files: CSV, JSON and Parquet, plain or compressed, and their options.

A CSV has a header line, commas and double quotes unless `options` set others. Nothing is guessed, because the guess for
the next file may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.suggestions import did_you_mean, listed
from airflow_wall.errors import DataError
from airflow_wall.sources.text_files import COMPRESSIONS

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
"""Values of `format`."""

_EXTENSIONS = {
    ".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
}  # fmt: skip
_CSV_OPTIONS = (
    "delim", "quote", "escape", "header", "skip", "comment", "nullstr", "dateformat", "timestampformat",
    "decimal_separator", "thousands", "encoding", "null_padding", "types",
)  # fmt: skip
_JSON_OPTIONS = ("dateformat", "timestampformat", "types")
_OPTIONS = {
    "csv": _CSV_OPTIONS, "tsv": _CSV_OPTIONS, "json": _JSON_OPTIONS, "jsonl": _JSON_OPTIONS, "parquet": (),
}  # fmt: skip


def reader_of(paths: Sequence[Path], format_name: str | None, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """
    Return the reader of files of one format, and its options without `types`: a `.tsv` is a CSV with tabs.

    :param format_name: The key `format`, or None if the names of the files show it.
    :raises DataError: the format is unknown, a name does not show it, two files differ, or an option is unknown.
    """
    name = _format_of(paths, format_name)
    _check_options(name, options)
    rest = {option: value for option, value in options.items() if option != "types"}
    return ("csv", {"delim": "\t", **rest}) if name == "tsv" else (name, rest)


def _format_of(paths: Sequence[Path], format_name: str | None) -> str:
    """
    Return the format of all files, from the key `format` or from their names.

    :raises DataError: the format is unknown, a name does not show it, or two files differ.
    """
    if format_name is not None:
        if format_name not in FORMATS:
            raise DataError(
                f"`format` must be one of {listed(FORMATS)}, got `{format_name}`",
                hint=did_you_mean(format_name, FORMATS) or "convert the files to one of these formats first",
            )
        return format_name
    examples: dict[str, Path] = {}
    for path in paths:
        name = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
        if name.suffix.lower() not in _EXTENSIONS:
            raise DataError(
                f"`source`: the name of `{path}` does not show its format",
                hint=f"write `format:` with one of {listed(FORMATS)}, or a pattern such as `*.csv` in `source`",
            )
        examples.setdefault(_EXTENSIONS[name.suffix.lower()], path)
    if len(examples) > 1:
        (one, first), (other, second) = list(examples.items())[:2]
        raise DataError(
            f"`source`: `{first}` is {one} and `{second}` is {other}; one ingest reads one format",
            hint=f"write a pattern such as `*{first.suffix}` in `source`",
        )
    return next(iter(examples))


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """
    Check that the format supports all options.

    :raises DataError: an option is unknown; the message lists the known ones.
    """
    for name in options:
        if name not in _OPTIONS[kind]:
            raise DataError(
                f"`options`: `{name}` is not an option of format `{kind}`, which has "
                f"{listed(_OPTIONS[kind]) or 'none'}",
                hint=did_you_mean(name, _OPTIONS[kind]) or "remove it",
            )
