"""One fault of a text, with its place, and the report that shows all faults of a file at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_wall.errors import SpecError

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

    def render(self) -> str:
        """The fault with the line of source it is about."""
        lines = self.text.splitlines()
        line, column, width = self.place.line, self.place.column, self.place.width
        text = f"error: {self.path}:{line}:{column}: {self.message}"
        if 0 < line <= len(lines):
            source = lines[line - 1].rstrip().expandtabs(1)
            cut = max(0, column - 60)
            source, column = source[cut : cut + 100], column - cut
            width = max(1, min(width, len(source) - column + 1))
            gutter = " " * len(str(line))
            text += f"\n  {line} | {source}\n  {gutter} | {' ' * (column - 1)}{'^' * width}"
        return text if self.hint is None else f"{text}\n\nhint: {self.hint}"


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
        super().__init__("\n\n".join(fault.render() for fault in self.faults))


def shown(value: Any, limit: int = 60) -> str:
    """A value as it may stand between backticks in a message: JSON for what is not text, cut when long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    except TypeError:  # a mapping of YAML 1.1 may have dates as keys
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`, or None where none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(word: str, known: Iterable[str], *, what: str) -> str:
    """The hint for an unknown word: the nearest known one, else all of them."""
    known = sorted(known)
    near = nearest(word, known)
    if near is not None:
        return f"did you mean `{near}`?"
    return f"known {what}: {', '.join(f'`{name}`' for name in known)}." if known else f"there are no {what}"
