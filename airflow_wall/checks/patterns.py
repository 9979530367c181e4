"""Check regular expressions when a file is read, with the engine that later matches them: RE2, in DuckDB."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_MAX_COST = 30_000
"""Largest cost of the patterns of one file: about 0.1 s of a core. Patterns beyond it are checked when they run."""

_LARGEST_REPETITION = 1000  # of RE2, for nested ones together
_CLASS_COST = 300  # a class of Unicode's properties is hundreds of ranges
_REPETITION = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")


class PatternCompiler:
    """Compiles the patterns of one file. The engine is opened for the first of them."""

    def __init__(self) -> None:
        self._left = _MAX_COST
        self._engine: duckdb.DuckDBPyConnection | None = None

    def fault(self, pattern: str) -> str | None:
        """Return the reason why a pattern is not a regular expression of RE2, or None."""
        self._left -= _cost(pattern)
        if self._left < 0:
            return None
        try:
            import duckdb
        except ImportError:  # where files are only validated
            return None
        if self._engine is None:
            self._engine = duckdb.connect(":memory:", config={"threads": 1})
        try:
            self._engine.execute("SELECT regexp_full_match('', ?)", [pattern]).fetchall()
        except duckdb.Error as error:
            return str(error).partition(": ")[2]
        return None

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()


def _cost(pattern: str) -> int:
    """Return a bound of the size of a compiled pattern, in instructions."""
    counts = [max(int(low), int(high or 0), 1) for low, high in _REPETITION.findall(pattern)]
    size = len(pattern) + _CLASS_COST * len(re.findall(r"\\[pP]|\(\?[a-zA-Z]*i", pattern))
    return size * min(math.prod(counts), _LARGEST_REPETITION)
