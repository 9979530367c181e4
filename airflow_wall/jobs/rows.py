"""The rows that `inputs` name: one Arrow table per input, however many tables its pattern matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_wall.errors import DataError
from airflow_wall.storage.base import TableStore


@dataclass(frozen=True)
class Rows:
    """
    What one input names.

    :param table: The rows of all its tables, columns matched by name.
    :param versions: Table -> its version when it was read.
    """

    table: pa.Table
    versions: dict[str, int]


def read_rows(store: TableStore, key: str, pattern: str, *, slices: Sequence[str] | None = None) -> Rows:
    """
    Read every table that `pattern` matches.

    :param key: Name of the input, for messages.
    :param slices: Only rows of these slices; None is all.
    :raises DataError: no table matches, or two tables have one column in types that do not go together.
    """
    versions: dict[str, int] = {}
    parts: list[pa.Table] = []
    for name in store.names(pattern):
        # Taken before the read: rows that arrive in between are named by no version, never claimed by a wrong one.
        versions[name] = store.version(name)
        parts.append(store.read(name, slices=slices))
    try:
        return Rows(pa.concat_tables(parts, promote_options="permissive"), versions)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"`inputs.{key}` (`{pattern}`): {_clash(list(versions), parts) or error}",
            hint="give the column one type in the steps that write these tables",
        ) from error


def check_inputs(inputs: Mapping[str, str]) -> None:
    """Make sure that `inputs` names at least one table. Raises DataError."""
    if not inputs:
        raise DataError("`inputs` is empty", hint="write, e.g., `inputs: {features: silver/*}`")
    for name in inputs:
        if not name.isidentifier():
            raise DataError(
                f"`inputs.{name}` cannot be the name of a function's argument",
                hint="write letters, digits and `_`, e.g. `features`",
            )


def _clash(names: list[str], parts: list[pa.Table]) -> str | None:
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
