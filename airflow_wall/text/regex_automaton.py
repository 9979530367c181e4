"""
Turn a regular expression into an automaton that makes the same choices as a backtracking engine.

Each character or set of the pattern is a state. An edge counts the ways in which the engine comes from one state to the
next without reading a character, so `(a*)*` has two edges from `a` to itself. All simplifications of the automaton
allow more than the pattern does, never less.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_wall.text.python_regex_parser import UNLIMITED, parse_pattern

MAX_PATTERN = 500
"""The most characters of a pattern that is analysed."""

MAX_STATES = 400
MAX_EDGES = 6_000

MAX_COPIES = 24
"""The most states that a bounded repetition is written out as. A longer one is treated as an unbounded repetition."""

MAX_WIDTH = 1 << 40
"""Stands for a length without a bound."""

_EXTRA = 4
"""Kinds of characters beyond ASCII: digits, other characters of words, spaces, all others."""
_DIGIT, _WORD, _SPACE, _OTHER = range(_EXTRA)


class PatternError(Exception):
    """Raised for a pattern that is not a Python regular expression, or that is too large to analyse."""


class Walk(NamedTuple):
    """
    The ways in which a part of a pattern is entered and left.

    :param ways_past: The number of ways in which it matches the empty text.
    :param first: State to the number of ways in which it can be the first.
    :param last: State to the number of ways in which it can be the last.
    """

    ways_past: int
    first: dict[int, int]
    last: dict[int, int]


_EMPTY = Walk(1, {}, {})


@dataclass
class Automaton:
    """
    The states and edges of a pattern.

    :param sets: The characters that each state reads, as a set of bits.
    :param edges: State to the next states and the number of ways to each. State 0 is the start and reads nothing.
    :param caps: The most characters that the outermost repetition around a state reads.
    :param whole: The ways in which the pattern is entered and left.
    :param is_anchored: True if a match can only begin at the start of the text.
    :param max_width: The most characters that a match reads.
    :param wide_sets: The number of sets with ranges beyond ASCII, each of which takes long to compile.
    """

    sets: list[int] = field(default_factory=lambda: [0])
    edges: list[dict[int, int]] = field(default_factory=lambda: [{}])
    caps: list[int] = field(default_factory=lambda: [1])
    whole: Walk = _EMPTY
    is_anchored: bool = False
    max_width: int = 0
    wide_sets: int = 0


# --- the parts of a pattern


@dataclass(frozen=True)
class _Chars:
    bits: int


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Part, ...] = ()


@dataclass(frozen=True)
class _Choice:
    options: tuple[_Part, ...]


@dataclass(frozen=True)
class _Repeat:
    low: int
    high: int
    part: _Part


@dataclass(frozen=True)
class _Look:
    """A lookahead or lookbehind: the engine reads it, then continues from the position before it."""

    part: _Part


@dataclass(frozen=True)
class _Position:
    """`^`, `$` or a word boundary: reads nothing, and is treated as a match at any position."""


_Part = _Chars | _Sequence | _Choice | _Repeat | _Look | _Position


def automaton_of(pattern: str) -> Automaton:
    """
    Return the automaton of a pattern.

    :raises PatternError: the text is not a pattern, or is too large.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"has more than {MAX_PATTERN:,} characters")
    try:
        parsed = parse_pattern(pattern)
        reader = _Reader(pattern, parsed)
        part = _without_tail(reader.sequence(parsed, parsed.state.flags))
        builder = _Builder(reader.alphabet)
        walk = builder.walk(part, None)
    except (re.error, OverflowError) as error:
        raise PatternError(f"is not a regular expression: {error}") from error
    except RecursionError as error:
        raise PatternError("has too many groups inside one another") from error
    automaton = builder.automaton
    automaton.edges[0] = dict(walk.first)
    automaton.whole, automaton.is_anchored = walk, _is_anchored(parsed, parsed.state.flags)
    automaton.max_width, automaton.wide_sets = _width(part), reader.wide_sets
    return automaton


# --- characters as bits


class _Alphabet:
    """
    The characters that a pattern distinguishes: each of ASCII, and four kinds in each of its ranges beyond ASCII.

    :param starts: The first characters of the pattern's ranges beyond ASCII.
    """

    def __init__(self, starts: Iterable[int]) -> None:
        self.starts = sorted({128, *starts})
        self.everything = (1 << (128 + _EXTRA * len(self.starts))) - 1
        beyond = [1 << (128 + index) for index in range(_EXTRA * len(self.starts))]
        self.digits = self._ascii(str.isdecimal) | sum(beyond[_DIGIT::_EXTRA])
        self.words = self._ascii(lambda char: char.isalnum() or char == "_") | sum(beyond[_DIGIT::_EXTRA])
        self.words |= sum(beyond[_WORD::_EXTRA])
        self.spaces = self._ascii(str.isspace) | sum(beyond[_SPACE::_EXTRA])
        self.ascii = (1 << 128) - 1
        self.letters_beyond = sum(beyond[_WORD::_EXTRA])

    @staticmethod
    def _ascii(holds: Callable[[str], bool]) -> int:
        return sum(1 << code for code in range(128) if holds(chr(code)))

    def range(self, low: int, high: int) -> int:
        """Return the bits of the characters from `low` to `high`."""
        bits = sum(1 << code for code in range(low, min(high, 127) + 1))
        for index, start in enumerate(self.starts):
            if start <= high and (index + 1 == len(self.starts) or self.starts[index + 1] > low) and high > 127:
                bits |= ((1 << _EXTRA) - 1) << (128 + _EXTRA * index)
        return bits

    def without_case(self, bits: int) -> int:
        """Return the bits with both cases of each letter. All letters beyond ASCII are treated as one."""
        for code in range(128):
            if bits >> code & 1 and chr(code).isalpha():
                bits |= 1 << ord(chr(code).swapcase())
        folded = sum(1 << ord(letter) for letter in "iIkKsS")  # İ, K and ſ fold to them
        if bits & self.letters_beyond:
            bits |= folded
        return bits | self.letters_beyond if bits & (folded | self.letters_beyond) else bits


_IGNORE_CASE, _DOT_ALL, _MULTILINE, _ASCII = (int(flag) for flag in (re.I, re.S, re.M, re.A))


class _Reader:
    """Turns the result of Python's own parser into the parts of a pattern."""

    def __init__(self, pattern: str, parsed: Any) -> None:
        self.pattern = pattern
        self.groups: dict[int, _Part] = {}
        self.wide_sets = 0
        starts: set[int] = set()
        self._starts(parsed, starts)
        self.alphabet = _Alphabet(starts)

    def _starts(self, parsed: Any, starts: set[int]) -> None:
        """Collect the first character of each range beyond ASCII, and the one after its last, at any depth."""
        if isinstance(parsed, tuple | list) or hasattr(parsed, "data"):
            items = list(parsed)
            if len(items) == 2 and str(items[0]) in ("LITERAL", "NOT_LITERAL") and isinstance(items[1], int):
                items = [None, (items[1], items[1])]
            if len(items) == 2 and isinstance(items[1], tuple) and all(isinstance(bound, int) for bound in items[1]):
                low, high = items[1][0], items[1][-1]
                if (items[0] is None or str(items[0]) == "RANGE") and high > 127:
                    starts.update({max(low, 128), min(high + 1, sys.maxunicode)})
            for item in items:
                self._starts(item, starts)

    def sequence(self, parsed: Any, flags: int) -> _Part:
        return _Sequence(tuple(self.item(str(name), argument, flags) for name, argument in parsed))

    def item(self, name: str, argument: Any, flags: int) -> _Part:  # noqa: C901  # one case for each kind of item
        match name:
            case "LITERAL":
                return _Chars(self._folded(self.alphabet.range(argument, argument), flags))
            case "NOT_LITERAL":
                return _Chars(self.alphabet.everything & ~self.alphabet.range(argument, argument))
            case "ANY":
                newline = 0 if flags & _DOT_ALL else 1 << ord("\n")
                return _Chars(self.alphabet.everything & ~newline)
            case "IN":
                return _Chars(self._set(argument, flags))
            case "BRANCH":
                return _Choice(tuple(self.sequence(option, flags) for option in argument[1]))
            case "SUBPATTERN":
                group, added, removed, inner = argument
                part = self.sequence(inner, (flags | added) & ~removed)
                if group is not None:
                    self.groups[group] = part
                return part
            case "ATOMIC_GROUP":
                return self.sequence(argument, flags)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                low, high, inner = argument
                unbounded = high == UNLIMITED
                return _Repeat(int(low), MAX_WIDTH if unbounded else int(high), self.sequence(inner, flags))
            case "ASSERT" | "ASSERT_NOT":
                direction, inner = argument
                part = self.sequence(inner, flags)
                return _Look(_without_tail(part) if direction > 0 else self._any_of(part))
            case "AT":
                return _Position()
            case "GROUPREF" | "GROUPREF_IGNORE":
                return self._reference(argument)
            case "GROUPREF_EXISTS":
                _, yes, no = argument
                return _Choice((self.sequence(yes, flags), self.sequence(no, flags) if no else _Sequence()))
            case "FAILURE":
                return _Chars(0)
        raise PatternError(f"holds `{name.lower()}`, whose cost is not known")

    def _reference(self, group: int) -> _Part:
        width = _width(self.groups[group]) if group in self.groups else MAX_WIDTH
        return _Repeat(0, width, _Chars(self.alphabet.everything))

    def _any_of(self, part: _Part) -> _Part:
        """Return the part with any character in place of each, because any text may come before a lookbehind."""
        match part:
            case _Chars():
                return _Chars(self.alphabet.everything)
            case _Sequence(parts):
                return _Sequence(tuple(self._any_of(inner_part) for inner_part in parts))
            case _Choice(options):
                return _Choice(tuple(self._any_of(inner_part) for inner_part in options))
            case _Repeat(low, high, inner):
                return _Repeat(low, high, self._any_of(inner))
            case _Look(inner):
                return _Look(self._any_of(inner))
            case _Position():
                return part

    def _folded(self, bits: int, flags: int) -> int:
        return self.alphabet.without_case(bits) if flags & _IGNORE_CASE else bits

    def _set(self, items: Iterable[tuple[Any, Any]], flags: int) -> int:
        bits = 0
        negated = wide = False
        for kind, argument in items:
            match str(kind):
                case "NEGATE":
                    negated = True
                case "LITERAL":
                    wide |= argument > 127
                    bits |= self.alphabet.range(argument, argument)
                case "RANGE":
                    wide |= argument[1] > 127
                    bits |= self.alphabet.range(*argument)
                case "CATEGORY":
                    bits |= self._category(str(argument), flags)
                case other:
                    raise PatternError(f"holds `{other.lower()}`, whose cost is not known")
        self.wide_sets += wide
        return self.alphabet.everything & ~bits if negated else self._folded(bits, flags)

    def _category(self, name: str, flags: int) -> int:
        categories = {"DIGIT": self.alphabet.digits, "WORD": self.alphabet.words, "SPACE": self.alphabet.spaces}
        bits = categories[name.rpartition("_")[2]]
        if flags & _ASCII:
            bits &= self.alphabet.ascii & ~self.alphabet.range(0x1C, 0x1F)  # these are spaces only in Unicode
        return self.alphabet.everything & ~bits if "_NOT_" in name else bits


# --- the shape of a pattern


def _width(part: _Part) -> int:
    """Return the most characters that a part reads."""
    match part:
        case _Chars():
            return 1
        case _Sequence(parts):
            return min(MAX_WIDTH, sum(map(_width, parts)))
        case _Choice(options):
            return max(map(_width, options))
        case _Repeat(_, high, inner):
            return min(MAX_WIDTH, high * _width(inner))
        case _Look() | _Position():
            return 0


def _size(part: _Part) -> int:
    """Return the number of states of a part, with each repetition counted once."""
    match part:
        case _Chars():
            return 1
        case _Sequence(parts) | _Choice(parts):
            return sum(map(_size, parts))
        case _Repeat(_, _, inner) | _Look(inner):
            return _size(inner)
        case _Position():
            return 0


def _without_tail(part: _Part) -> _Part:
    """Return the part without repetitions at its end: when the engine reaches one, the match has succeeded."""
    match part:
        case _Sequence(parts):
            rest = list(parts)
            while rest:
                last = _without_tail(rest.pop())
                if last != _Sequence():
                    return _Sequence((*rest, last))
            return _Sequence()
        case _Choice(options):
            return _Choice(tuple(_without_tail(option) for option in options))
        case _Repeat(low, high, inner) if isinstance(_single(inner), _Chars) and high > low:
            return _Repeat(low, low, inner) if low else _Sequence()
    return part


def _single(part: _Part) -> _Part:
    while isinstance(part, _Sequence) and len(part.parts) == 1:
        part = part.parts[0]
    return part


def _is_anchored(parsed: Any, flags: int) -> bool:
    """Return True if a parsed pattern can only match at the start of a text."""
    if not len(parsed):
        return False
    name, argument = str(parsed[0][0]), parsed[0][1]
    if name == "AT":
        return str(argument) == "AT_BEGINNING_STRING" or (str(argument) == "AT_BEGINNING" and not flags & _MULTILINE)
    if name == "SUBPATTERN":
        return _is_anchored(argument[3], (flags | argument[1]) & ~argument[2])
    if name == "BRANCH":
        return all(_is_anchored(option, flags) for option in argument[1])
    return False


class _Builder:
    """Builds the states and edges of parts."""

    def __init__(self, alphabet: _Alphabet) -> None:
        self.alphabet = alphabet
        self.automaton = Automaton()
        self.count = 0

    def walk(self, part: _Part, cap: int | None) -> Walk:
        """
        Build the states and edges of a part.

        :param cap: The most characters that the outermost repetition around it reads; None outside of any.
        """
        match part:
            case _Chars(bits):
                state = self._state(bits, cap)
                return Walk(0, {state: 1}, {state: 1})
            case _Sequence(parts):
                walk = Walk(1, {}, {})
                for inner_part in parts:
                    walk = self._joined(walk, self.walk(inner_part, cap))
                return walk
            case _Choice(options):
                walks = [self.walk(option, cap) for option in options]
                past = sum(walk.ways_past for walk in walks)
                return Walk(past, _sum(walk.first for walk in walks), _sum(walk.last for walk in walks))
            case _Repeat():
                return self._repeat(part, cap)
            case _Look(inner):
                inner_walk = self.walk(inner, None)
                return Walk(1 + inner_walk.ways_past, inner_walk.first, {})
            case _Position():
                return Walk(1, {}, {})

    def _repeat(self, repeat: _Repeat, cap: int | None) -> Walk:
        low, high, inner = repeat.low, repeat.high, repeat.part
        if high == 0:
            return Walk(1, {}, {})
        size = max(1, _size(inner))
        if high * size <= MAX_COPIES:
            walk = Walk(1, {}, {})
            for _ in range(high - low):  # X{1,3} is X(X(X)?)?
                walk = self._joined(self.walk(inner, cap), walk)
                walk = Walk(1 + walk.ways_past, walk.first, walk.last)
            for _ in range(low):
                walk = self._joined(self.walk(inner, cap), walk)
            return walk
        outer = cap if cap is not None else min(MAX_WIDTH, high * max(1, _width(inner)))
        once = self.walk(inner, outer)
        self._connect(once.last, once.first)
        past = min(MAX_WIDTH, once.ways_past ** min(low, MAX_COPIES * 2))
        if once.ways_past and low > 1:  # any of the repetitions may read nothing: the engine tries all
            self._connect(once.last, once.first)
        if low == 0:
            past += once.ways_past
        return Walk(past, once.first, _times(once.last, 1 + once.ways_past))

    def _joined(self, left: Walk, right: Walk) -> Walk:
        self._connect(left.last, right.first)
        first = _sum((left.first, _times(right.first, left.ways_past)))
        last = _sum((right.last, _times(left.last, right.ways_past)))
        return Walk(left.ways_past * right.ways_past, first, last)

    def _connect(self, last: dict[int, int], first: dict[int, int]) -> None:
        for state, ways in last.items():
            edges = self.automaton.edges[state]
            self.count += len(first)
            if self.count > MAX_EDGES:
                raise PatternError("has too many choices")
            for other, more in first.items():
                edges[other] = edges.get(other, 0) + ways * more

    def _state(self, bits: int, cap: int | None) -> int:
        if len(self.automaton.sets) > MAX_STATES:
            raise PatternError("has too many characters, sets and repetitions")
        self.automaton.sets.append(bits)
        self.automaton.edges.append({})
        self.automaton.caps.append(cap or 1)
        return len(self.automaton.sets) - 1


def _sum(tables: Iterable[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for table in tables:
        for state, ways in table.items():
            total[state] = total.get(state, 0) + ways
    return total


def _times(table: dict[int, int], factor: int) -> dict[int, int]:
    return {state: ways * factor for state, ways in table.items()} if factor else {}
