"""A YAML document as plain values, with the position of each key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import Fault, Loc, SourcePosition

Marks = dict[Loc, Any]
"""Path in the document to the YAML event or node at it. `place_of` returns its position."""


@dataclass(frozen=True)
class YamlDocument:
    """
    One YAML document as plain values.

    :param path: The file, as the caller named it.
    :param text: The whole text of the file.
    :param value: The nested value of dict, list, str, int, float, bool and None.
    :param keys: The mark of each mapping key.
    :param values: The mark of each value.
    :param is_yaml_1_1: True if it was read as YAML 1.1; values may then also be dates, bytes, sets and tuples.
    :param faults: Faults of its text that leave the rest readable, such as a key that is written twice.
    """

    path: Path
    text: str = field(repr=False)
    value: Any
    keys: Marks = field(repr=False)
    values: Marks = field(repr=False)
    is_yaml_1_1: bool = False
    faults: tuple[Fault, ...] = ()

    def place(self, loc: Loc, *, of_key: bool = False) -> SourcePosition:
        """Return the position of the value at `loc`, or of its key, or of its nearest ancestor that is in the text."""
        loc = self.as_written(loc)
        while True:
            for table in (self.keys, self.values) if of_key else (self.values, self.keys):
                if loc in table:
                    return place_of(table[loc])
            if not loc:
                return SourcePosition(1, 1)
            # A list item that is missing stands for a single value in its place; a missing key, for its block.
            loc, of_key = loc[:-1], isinstance(loc[-1], str)

    def as_written(self, loc: Loc) -> Loc:
        """Return `loc` without the indexes of a list where the text has a single value instead of the list."""
        written: list[str | int] = []
        value = self.value
        for part in loc:
            is_key = isinstance(value, dict) and part in value  # YAML 1.1 has numbers as keys, too
            if isinstance(part, int) and value is not None and not isinstance(value, list) and not is_key:
                continue
            written.append(part)
            inner = isinstance(value, dict) and part in value
            inner = inner or (isinstance(value, list) and isinstance(part, int) and part < len(value))
            value = value[part] if inner else None
        return tuple(written)


def place_of(mark: Any) -> SourcePosition:
    """Return the position of a YAML event or node."""
    start, end = mark.start_mark, mark.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return SourcePosition(start.line + 1, start.column + 1, max(1, width))
