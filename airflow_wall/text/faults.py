"""One fault of a text, with its place, and the report that shows all faults of a file at once."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_wall.errors import SpecError

MAX_FAULTS = 100
"""How many faults of one document are looked for and told: who has more mends these first."""

MAX_MESSAGE = 1_000
"""How many characters of a message or a hint are told: names in it may be as long as a value."""

_COMPARED = 50
_FILTERED = 10_000
_LONGEST = 40
_LISTED = 20  # a list of more names helps nobody

Loc = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""


@dataclass(frozen=True, order=True)
class Place:
    """
    A stretch of one line.

    :param line: From 1.
    :param column: From 1, in characters.
    :param width: How many characters the caret underlines, at least 1.
    """

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong with a text.

    :param path: The file, as the user wrote it.
    :param place: Where in the file.
    :param message: What was expected and what came, literals in backticks, beginning with the key path.
    :param hint: How to mend it.
    :param key: The key path, e.g. `tasks[fit].with.epochs`; None where it is about the text or the whole file.
    :param text: The text of the file, for the excerpt.
    """

    path: Path
    place: Place
    message: str
    hint: str | None = None
    key: str | None = None
    text: str = field(default="", repr=False, compare=False)

    def render(self, lines: Sequence[str] | None = None) -> str:
        """The fault with the line of source it is about. `lines`: those of `text`, where they are known already."""
        lines = self.text.splitlines() if lines is None else lines
        line, column, width = self.place.line, self.place.column, self.place.width
        text = f"error: {self.path}:{line}:{column}: {_cut(self.message, MAX_MESSAGE)}"
        if 0 < line <= len(lines):
            cut = max(0, column - 60)
            source, column = lines[line - 1][cut : cut + 100].rstrip().expandtabs(1), column - cut
            width = max(1, min(width, len(source) - column + 1))
            gutter = " " * len(str(line))
            text += f"\n  {line} | {source}\n  {gutter} | {' ' * (column - 1)}{'^' * width}"
        return text if self.hint is None else f"{text}\n\nhint: {_cut(self.hint, MAX_MESSAGE)}"


class FaultyText(SpecError):
    """
    A file has faults, or a file that it names has.

    :param faults: All of them; they are told in the order of the file, those of other files after them.
    :param text: The file's text, for the excerpts of faults that do not bring the text of their own file.
    """

    def __init__(self, faults: Iterable[Fault], text: str) -> None:
        # Two items of one matrix share their text: what is wrong there is said once.
        told = (fault if fault.text else replace(fault, text=text) for fault in dict.fromkeys(faults))
        self.faults = tuple(sorted(told, key=lambda fault: (fault.text != text, str(fault.path), fault.place)))
        texts = {fault.text for fault in self.faults[:MAX_FAULTS]}  # most often one, and of many lines
        lines = {text: text.splitlines() for text in texts}
        reports = [fault.render(lines[fault.text]) for fault in self.faults[:MAX_FAULTS]]
        if len(self.faults) > MAX_FAULTS:
            reports.append(f"error: {self.faults[0].path}: there are more than these {MAX_FAULTS} faults")
        super().__init__("\n\n".join(reports))


def shown(value: Any, limit: int = 60) -> str:
    """A value as it may stand between backticks in a message: JSON for what is not text, cut when long."""
    if not isinstance(value, str):
        # In pieces, of which each is at least a character: a value may be as large as its file.
        pieces = json.JSONEncoder(default=str, ensure_ascii=False).iterencode(value)
        try:
            value = "".join(itertools.islice(pieces, 2 * limit))
        except TypeError:  # a mapping of YAML 1.1 may have dates as keys
            value = str(value)
    return _cut(" ".join(value[: 100 * limit].split()), limit)


def listed(names: Sequence[str], limit: int = 8) -> str:
    """Names between backticks, cut when there are many."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(f"`{name}`" for name in names[:limit]) + more


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """
    The known word most like `word`, or None where none is near.

    Of many, only those that begin alike are asked. Capital letters for small ones are a mistake like any other.
    """
    words = list(itertools.islice(known, _FILTERED))
    word = word[:_LONGEST]
    if len(words) > _COMPARED:
        begun = (word[:1], word[:1].swapcase())
        alike = (each for each in words if each[:1] in begun and abs(len(each) - len(word)) <= 3)
        words = list(itertools.islice(alike, _COMPARED))
    words = [each for each in words if len(each) <= _LONGEST]
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if found:
        return found[0]
    small = {each.lower(): each for each in reversed(words)}
    if word.islower() and list(small.values()) == list(small):
        return None  # no capital letter anywhere: asked already
    found = difflib.get_close_matches(word.lower(), small, n=1, cutoff=0.8)
    return small[found[0]] if found else None


def as_list(text: str, known: Iterable[str]) -> str | None:
    """The list, as YAML writes it, that a text of several known words is meant to be; None where it is none."""
    words = re.split(r"[,\s]+", text.strip())
    return f"[{', '.join(words)}]" if len(words) > 1 and set(words) <= set(known) else None


def suggestion(word: str, known: Iterable[str], *, what: str) -> str:
    """The hint for an unknown word: the nearest known one, else all of them if they are few."""
    known = list(known)
    near = nearest(word, sorted(known) if len(known) <= _FILTERED else known)
    if near is not None:
        return f"did you mean `{near}`?"
    if len(known) > _LISTED:
        return f"remove it: none of the known {what} is like it"
    return f"known {what}: {', '.join(f'`{name}`' for name in sorted(known))}." if known else f"there are no {what}"
