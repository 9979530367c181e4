"""Python's parser of regular expressions returns the same forms on each supported version."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from airflow_wall.text.python_regex_parser import UNLIMITED, parse_pattern


def _plain(part: Any) -> Any:
    """Return a parsed part as tuples, lists, texts and numbers."""
    if isinstance(part, tuple):
        return tuple(map(_plain, part))
    if isinstance(part, list) or hasattr(part, "data"):
        return [_plain(item) for item in part]
    return "UNLIMITED" if part == UNLIMITED else str(part) if type(part) is not int and part is not None else part


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("ab", [("LITERAL", 97), ("LITERAL", 98)]),
        ("[^a-c]", [("IN", [("NEGATE", None), ("RANGE", (97, 99))])]),
        (r"\d.", [("IN", [("CATEGORY", "CATEGORY_DIGIT")]), ("ANY", None)]),
        ("a*", [("MAX_REPEAT", (0, "UNLIMITED", [("LITERAL", 97)]))]),
        ("a{2,3}?", [("MIN_REPEAT", (2, 3, [("LITERAL", 97)]))]),
        ("a++", [("POSSESSIVE_REPEAT", (1, "UNLIMITED", [("LITERAL", 97)]))]),
        ("(?>a)", [("ATOMIC_GROUP", [("LITERAL", 97)])]),
        (r"(a)\1", [("SUBPATTERN", (1, 0, 0, [("LITERAL", 97)])), ("GROUPREF", 1)]),
        ("ab|cd", [("BRANCH", (None, [[("LITERAL", 97), ("LITERAL", 98)], [("LITERAL", 99), ("LITERAL", 100)]]))]),
        ("(?=a)", [("ASSERT", (1, [("LITERAL", 97)]))]),
        ("(?<!a)", [("ASSERT_NOT", (-1, [("LITERAL", 97)]))]),
        ("^$", [("AT", "AT_BEGINNING"), ("AT", "AT_END")]),
        ("(a)?(?(1)b|c)", [
            ("MAX_REPEAT", (0, 1, [("SUBPATTERN", (1, 0, 0, [("LITERAL", 97)]))])),
            ("GROUPREF_EXISTS", (1, [("LITERAL", 98)], [("LITERAL", 99)])),
        ]),
    ],
)  # fmt: skip
def test_parts_of_a_pattern(pattern: str, parts: list[Any]) -> None:
    assert _plain(parse_pattern(pattern)) == parts


def test_flags_are_in_the_state() -> None:
    assert parse_pattern("(?is)a").state.flags & (re.IGNORECASE | re.DOTALL) == re.IGNORECASE | re.DOTALL


def test_a_text_that_is_not_a_pattern_raises() -> None:
    with pytest.raises(re.error):
        parse_pattern("(")


def test_syntax_of_a_later_python_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_pattern("[[a]")
