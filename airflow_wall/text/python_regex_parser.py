"""
Python's own parser of regular expressions.

It is the private part `re._parser` of the standard library, because nothing public replaces it: the public name
`sre_parse` is deprecated, and warns. A parser of our own could read a pattern in another way than `re` does, and miss
that it is slow. All uses are in this module, and its test pins what the supported versions of Python return.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

UNLIMITED: int = int(re._parser.MAXREPEAT)  # type: ignore[attr-defined]
"""The upper bound of a repetition that has none."""


def parse_pattern(pattern: str) -> Any:
    """
    Return the parsed pattern: a sequence of (name, argument), with the flags in `state.flags`.

    The text of a name says what is matched, e.g. `LITERAL`, and decides the form of the argument.

    :raises re.error: the text is not a pattern.
    :raises OverflowError: a bound of a repetition is too large.
    :raises RecursionError: too many groups are inside one another.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about syntax that a later Python reads differently
        return re._parser.parse(pattern)  # type: ignore[attr-defined]
