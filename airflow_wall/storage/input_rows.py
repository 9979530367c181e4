"""Read the rows of `inputs`: one Arrow table per input, for all tables that match its pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.errors import DataError
from airflow_wall.storage.base import TableStore


@dataclass(frozen=True)
class InputRows:
    """
    The rows of one input.

    :param table: The rows of all its tables. Columns are matched by name.
    :param versions: Table -> its version at the time of reading.
    """

    table: pa.Table
    versions: dict[str, int]


def read_rows(store: TableStore, key: str, pattern: str, *, slices: Sequence[str] | None = None) -> InputRows:
    """
    Read every table that matches `pattern`.

    :param key: Name of the input, for messages.
    :param slices: Only rows of these slices; None means all slices.
    :raises DataError: no table matches, or a column has incompatible types in two tables.
    """
    versions: dict[str, int] = {}
    parts: list[pa.Table] = []
    for name in store.names(pattern):
        # The version is read before the rows. Rows written in between are newer than the version, which is harmless; a
        # version that is newer than the rows would claim rows that were not read.
        versions[name] = store.version(name)
        parts.append(store.read(name, slices=slices))
    try:
        return InputRows(pa.concat_tables(parts, promote_options="permissive"), versions)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"`inputs.{key}` (`{pattern}`): {_describe_clash(list(versions), parts) or error}",
            hint="cast the column to one type in the steps that write these tables",
        ) from error


def check_inputs(inputs: Mapping[str, str]) -> None:
    """
    Check that `inputs` names at least one table, each by a valid argument name.

    :raises DataError: it does not.
    """
    if not inputs:
        raise DataError("`inputs` must name at least one table", hint="write, e.g., `inputs: {features: silver/*}`")
    for name in inputs:
        if not name.isidentifier():
            raise DataError(
                f"`inputs.{name}`: the name of an input must be the name of a function argument, got `{name}`",
                hint="write letters, digits and `_`, e.g. `features`",
            )


def _describe_clash(names: list[str], parts: list[pa.Table]) -> str | None:
    seen: dict[str, tuple[str, pa.DataType]] = {}
    for table, rows in zip(names, parts, strict=True):
        for field in rows.schema:
            first, type_ = seen.setdefault(field.name, (table, field.type))
            try:
                pa.unify_schemas(
                    [pa.schema([(field.name, type_)]), pa.schema([(field.name, field.type)])],
                    promote_options="permissive",
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                return f"column `{field.name}` is `{type_}` in `{first}` and `{field.type}` in `{table}`"
    return None
