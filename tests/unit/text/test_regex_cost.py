"""The cost of a pattern in a backtracking engine: by known patterns, and against an engine that counts its steps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_wall.text import regex_cost
from airflow_wall.text.python_regex_parser import parse_pattern
from airflow_wall.text.regex_cost import EXPONENTIAL, MAX_LENGTH, MAX_STEPS, PatternError, longest_text, steps_of

LINEAR = [
    "^[a-z0-9_-]{1,64}$",
    r"^\d{4}-\d{2}-\d{2}$",
    "^s3://[^/]+/.+$",
    "^(dev|prod)$",
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$",
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
    "^[a-z]+(_[a-z]+)*$",
    "^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+$",
    r"^(\w+\.)*\w+@example\.org$",
    r"^(\d{1,3}\.){3}\d{1,3}$",
    r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,61}[a-z0-9])?)*$",
    r"^(?=.*[A-Z])(?=.*\d).{8,}$",
    r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    r"^P(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$",
    r"^https?://[\w.-]+(:\d+)?(/.*)?$",
    r"^([01]\d|2[0-3]):[0-5]\d$",
    "^[A-Za-zäöüÄÖÜß ]+$",
    "^[а-я]+[^а-я]+$",
    "(?i)^[a-z]+[0-9]+$",
    r"^(a+)=\1$",
    r"^\s*\w+\s*$",
    r"\d+",
    ".*",
    "(?s).+",
    "[a-z]{2,3}-[a-z]{2,3}",
]
POLYNOMIAL = [
    ".*.*.*x",
    r"\d+\d+x",
    r"^\d+\d+x",
    "^a*b?a*c",
    "^(.*,){3}x",
    "x*y",
    "[a-z]+$",
    "s3://.+/.+",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"^\s*(.*?)\s*$",
    r"(.+)\1x",
    "(?=a+b)c",
    "^a*(?=a*b)c",
    r"(?m)^\s*a",
    "^[ab]{0,200}[ab]{0,200}[ab]{0,200}x",
    "(?i)^ſ+s+x",
    "^(a*)b?(?(1)a*|c)d",
]
EXPONENTIAL_PATTERNS = [
    "^(a+)+$",
    "(a|a)*b",
    r"(\w+\s*)+:",
    r"^(\s*a?)*$",
    "(a{0,50}){0,50}x",
    "^(?:a{0,50}){0,50}$",
    "(a*)*b",
    "(a?b?)*c",
    "^(a|b|ab)*c",
    "^([a-z]|[^b])*!",
    "^(.*,){12}P",
    "(?=(a+)+b)x",
    "(?!(a|aa)+b)x",
    "(?:|){30}x",
    "(?:a?){30}x",
    "(?i)^(?:kx?|\u212a)*y",
    r"^(?:\w+|\d)*-",
    "^(?:a|(?i:A))+A+b",
    "a?" * 30 + "a" * 30,
    "(a|a)" * 30 + "x",
    "^(?:a(?:b|(?:ab|ba)*)*)*c",
]


@pytest.mark.parametrize("pattern", LINEAR)
def test_ordinary_patterns_need_no_bound(pattern: str) -> None:
    assert steps_of(pattern) <= MAX_STEPS
    assert steps_of(pattern, 4 * MAX_LENGTH) <= 5 * steps_of(pattern)


@pytest.mark.parametrize("pattern", POLYNOMIAL)
def test_more_than_linear_needs_a_bound(pattern: str) -> None:
    assert MAX_STEPS < steps_of(pattern) < EXPONENTIAL
    assert steps_of(pattern, longest_text(pattern)) <= MAX_STEPS
    assert longest_text(pattern) >= 10


@pytest.mark.parametrize("pattern", EXPONENTIAL_PATTERNS)
def test_exponential_is_above_any_useful_bound(pattern: str) -> None:
    assert steps_of(pattern, 50) > 100 * MAX_STEPS


def test_a_search_begins_at_each_character_unless_anchored() -> None:
    assert steps_of("x*y") > MAX_STEPS > steps_of("x*y", is_anchored=True)
    assert steps_of("^x*y|^z") < MAX_STEPS < steps_of("^x*y|x*z")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression"),
        ("a{99999999999999999999}", "is not a regular expression"),
        ("(" * 5_000, "has more than 500 characters"),
        ("(?:" * 60 + "a" + ")*" * 60, None),
        ("(?:" * 20 + "a?b?c?d?e?" + "){2}" * 20, "has too many"),
        ("[a-z][0-9]" * 40 + "(a{2}b{2})" * 9, None),
    ],
)
def test_invalid_or_large_pattern_has_no_cost(pattern: str, message: str | None) -> None:
    if message is None:
        assert steps_of(pattern) > 0
    else:
        with pytest.raises(PatternError, match=message):
            steps_of(pattern)


def test_groups_far_inside_one_another_are_refused() -> None:
    with pytest.raises(PatternError, match="inside one another"):
        nested(700)


def nested(depth: int) -> int:
    """The cost of a deep pattern where few frames of the interpreter are left."""
    return nested(depth - 1) if depth else steps_of("(" * 200 + "a" + ")" * 200)


def test_sets_beyond_ascii_cost_compiling() -> None:
    assert steps_of("^(" + "|".join(f"[\\u{0x400 + each:04x}-\\uffff]b" for each in range(12)) + ")$", 1) > MAX_STEPS


# --- against an engine


class Engine:
    """A backtracking engine for what the generated patterns hold, which counts what it tries."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = 0

    def search(self, pattern: str) -> bool:
        parsed = list(parse_pattern(pattern))
        return any(self.sequence(parsed, begin, lambda _: True) for begin in range(len(self.text) + 1))

    def sequence(self, items: list[Any], at: int, then: Callable[[int], bool]) -> bool:
        if not items:
            return then(at)
        (name, argument), rest = items[0], items[1:]
        self.steps += 1

        def after(end: int) -> bool:
            return self.sequence(rest, end, then)

        match str(name):
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return at < len(self.text) and self.reads(str(name), argument, self.text[at]) and after(at + 1)
            case "BRANCH":
                return any(self.sequence([*option, *rest], at, then) for option in argument[1])
            case "SUBPATTERN":
                return self.sequence([*argument[3], *rest], at, then)
            case "AT":
                return at == (0 if "BEGINNING" in str(argument) else len(self.text)) and after(at)
            case "ASSERT":
                return self.sequence(list(argument[1]), at, lambda _: True) and after(at)
            case "ASSERT_NOT":
                return not self.sequence(list(argument[1]), at, lambda _: True) and after(at)
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, inner = argument
                return self.repeat((low, high, list(inner), str(name) == "MIN_REPEAT"), 0, at, None, after)
        raise AssertionError(name)

    def repeat(
        self,
        what: tuple[int, int, list[Any], bool],
        times: int,
        at: int,
        last: int | None,
        after: Callable[[int], bool],
    ) -> bool:
        low, high, inner, is_lazy = what
        self.steps += 1

        def once_more() -> bool:
            if times >= high or (times >= low and at == last):
                return False
            return self.sequence(inner, at, lambda end: self.repeat(what, times + 1, end, at, after))

        if times < low:
            return once_more()
        return (after(at) or once_more()) if is_lazy else (once_more() or after(at))

    @staticmethod
    def reads(name: str, argument: Any, character: str) -> bool:
        if name == "IN":
            return any(str(kind) == "LITERAL" and chr(each) == character for kind, each in argument)
        return name == "ANY" or (chr(argument) == character) == (name == "LITERAL")


ATOMS = st.sampled_from(["a", "b", "[ab]", ".", "[^a]", "c"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2}", "*?", "{1,40}", "{3,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda each: f"(?:|{each})"),
        st.tuples(st.sampled_from(["?=", "?!"]), inner).map(lambda pair: f"({pair[0]}{pair[1]})"),
    ),
    max_leaves=7,
)
WHOLE = st.tuples(st.sampled_from(["", "^"]), PATTERNS, st.sampled_from(["", "$", "c", "!"])).map("".join)
TEXTS = [
    *("a" * length for length in (5, 9, 14)),
    *("ab" * length for length in (3, 6)),
    *("aab" * length for length in (2, 4)),
    *("b" * length for length in (9, 14)),
]


def too_cheap(pattern: str) -> Iterator[tuple[str, int, int]]:
    """The texts for which the bound is below what the engine needs."""
    for text, end in itertools.product(TEXTS, ("", "x")):
        bound = steps_of(pattern, len(text + end))
        if bound < 50_000:  # the engine is slow: what is allowed more has no chance to need it here
            engine = Engine(text + end)
            found = engine.search(pattern)
            assert found == (re.search(pattern, text + end) is not None)
            if engine.steps > STEPS_OF_ENGINE * bound:
                yield text + end, bound, engine.steps


STEPS_OF_ENGINE = 3
"""This engine counts each group and repetition, the bound only what reads a character."""


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(WHOLE)
def test_no_engine_needs_more_than_the_bound(pattern: str) -> None:
    assert list(too_cheap(pattern)) == []


@pytest.mark.parametrize(
    ("part", "pattern"), [("_is_exponential", "^(?:(?:a)*)*c"), ("_is_free", "^(?:a)*(?:a)*(?:a)*(?:a)*c")]
)
def test_control_a_bound_that_overlooks_a_rule_is_found(
    part: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    regex_cost._analysed.cache_clear()
    monkeypatch.setattr(regex_cost._Analysis, part, lambda *_: False)
    monkeypatch.setattr(regex_cost._Analysis, "_count_runs", lambda *_: 1)
    try:
        assert list(too_cheap(pattern)) != []
    finally:
        regex_cost._analysed.cache_clear()
