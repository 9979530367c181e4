"""Check regular expressions when a file is read, with the engine that later matches them: RE2, in DuckDB."""

from __future__ import annotations

import functools
import math
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MAX_COST = 10_000
"""Largest cost of all patterns of a file: about 0.03 s of a core. Patterns beyond it are checked when they run."""

LEAST_COST = 500
"""The part of it that each document of a file may use at least."""

_QUERY_COST = 100
_CLASS_COST = 300  # a class of Unicode's properties is hundreds of ranges
_LARGEST_REPETITION = 1000  # of RE2, for nested ones together
_REPETITION = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")
_CLASS = re.compile(r"\\[pP]|\(\?[a-zA-Z]{0,9}i")


class PatternCompiler:
    """
    Compiles the patterns of one document, each once.

    :param budget: Largest cost of all of them.
    """

    def __init__(self, budget: int = MAX_COST) -> None:
        self._left = budget
        self._reasons: dict[str, str | None] = {}

    def fault(self, pattern: str) -> str | None:
        """Return the reason why a pattern is not a regular expression of RE2; None if it is, or the budget is spent."""
        cost = _cost(pattern)
        if pattern not in self._reasons and cost <= self._left:
            self._left -= cost
            self._reasons[pattern] = _reason(pattern)
        return self._reasons.get(pattern)


@functools.lru_cache(maxsize=512)  # the environments of a file have the same patterns
def _reason(pattern: str) -> str | None:
    try:
        import duckdb
    except ImportError:  # where files are only validated
        return None
    try:
        _engine(os.getpid()).cursor().execute("SELECT regexp_full_match('', ?)", [pattern]).fetchall()
    except duckdb.Error as error:
        return str(error).partition(": ")[2]
    return None


@functools.cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001  # a fork opens its own
    import duckdb

    return duckdb.connect(":memory:", config={"threads": 1})


def _cost(pattern: str) -> int:
    """Return a bound of the size of a compiled pattern, in instructions."""
    counts = [max(int(low), int(high or 0), 1) for low, high in _REPETITION.findall(pattern)]
    size = len(pattern) + _CLASS_COST * len(_CLASS.findall(pattern))
    return _QUERY_COST + size * min(math.prod(counts), _LARGEST_REPETITION)
