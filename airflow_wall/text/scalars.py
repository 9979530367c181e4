"""Parse plain (unquoted) scalars by YAML 1.2's core schema, and reject those that other versions read differently."""

from __future__ import annotations

import re

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+")
_HEX_OR_OCTAL = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")

MAX_DIGITS = 18

Scalar = str | int | float | bool | None


class AmbiguousScalar(ValueError):
    """Raised for a plain scalar that YAML versions read differently, or that no field can hold. Args: message, hint."""


def parse_plain(text: str) -> Scalar:
    """
    Return the value of a plain scalar.

    :raises AmbiguousScalar: YAML versions disagree about it (`0755`), or it is a number that is infinite or too long.
    """
    if text in _NULL:
        return None
    first = text[0]
    if first in "tTfF":
        return True if text in _TRUE else False if text in _FALSE else text
    if first not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if _LEADING_ZERO.fullmatch(text):
        raise AmbiguousScalar(
            f"number `{text}` begins with 0, which YAML versions read as different numbers",
            f'quote it to mean the text: "{text}"; or drop the zero to mean the number',
        )
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise AmbiguousScalar(
                f"number has {len(text)} digits; at most {MAX_DIGITS} are read", "quote it to mean the text"
            )
        return int(text)
    if _HEX_OR_OCTAL.fullmatch(text):
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        raise AmbiguousScalar(f"`{text}` is not a finite number", "write a number, or quote it to mean the text")
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise AmbiguousScalar(
                f"number `{text}` is too large", "write a smaller number, or quote it to mean the text"
            )
        return value
    return text
