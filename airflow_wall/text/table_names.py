"""The names of tables, and patterns such as `silver/*`."""

from __future__ import annotations

import fnmatch

REJECTED = "_rejected"
"""Ending of the table with the bad rows of a table."""


def is_pattern(table: str) -> bool:
    """Return True if a text names several tables, e.g. `silver/*`."""
    return any(sign in table for sign in "*?[")


def matches_table(name: str, pattern: str) -> bool:
    """Return True if a pattern covers a name. Each part between slashes is compared on its own."""
    parts, signs = name.split("/"), pattern.split("/")
    return len(parts) == len(signs) and all(map(fnmatch.fnmatchcase, parts, signs))
