"""Rows of files as texts: a query per delivery, the columns it has, and the rows that are not rows at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

ALL_FAMILIES = ("boolean", "number", "time")


@dataclass(frozen=True)
class RejectedRow:
    """
    One row of a file that cannot be stored.

    :param source: The path of the file, or the address of the SQL table.
    :param line: Its first line in the file, from 1; None if it is not known.
    :param reason: Why it is rejected, e.g. ``column `zip` must be `bigint`, got `01234` ``.
    :param column: The column with the value; None if the whole row is wrong.
    :param value: The value as written.
    :param raw: The row as written.
    """

    source: str
    line: int | None
    reason: str
    column: str | None = None
    value: str | None = None
    raw: str | None = None


@dataclass(frozen=True)
class Presence:
    """
    The columns of one file.

    :param present: Columns that it has.
    :param complete: Columns that all of its rows have.
    """

    present: frozenset[str]
    complete: frozenset[str]


@dataclass(frozen=True)
class TextRows:
    """
    The rows of one delivery, before their values have types.

    :param query: A SELECT of all columns as texts, and of the path of each row's file as `_wall_source`.
    :param families: Column to the families of types that its texts may have, for a column without a type.
    :param nested: Column to its type, for a column of objects or lists; the query gives it as JSON.
    :param presence: File to the columns that it has.
    :param rejected: Rows that cannot be split into columns.
    """

    query: str
    families: Mapping[str, tuple[str, ...]]
    nested: Mapping[str, pa.DataType] = field(default_factory=dict)
    presence: Mapping[str, Presence] = field(default_factory=dict)
    rejected: tuple[RejectedRow, ...] = ()
