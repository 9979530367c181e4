"""A fault of a text with its position, and the report that shows all faults of a file at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from airflow_wall.diagnostics.printable import cut, printable_line
from airflow_wall.errors import SpecError
from airflow_wall.redaction import HIDDEN, hide_logins, login_spans

MAX_FAULTS = 100
"""The most faults of one document that are collected and reported. An author with more corrects these first."""

MAX_MESSAGE = 1_000
"""The most characters of a message or a hint that are shown. A name in it may be as long as a value."""

_SHOWN = 100
"""Characters of a line that an excerpt shows."""

Loc = tuple[str | int, ...]
"""The path of a value in a document: keys and list positions from the top."""


@dataclass(frozen=True, order=True)
class SourcePosition:
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
    :param place: The position in the file.
    :param message: The key path, then what was expected and what came, with literals in backticks.
    :param hint: How to fix it.
    :param key: The key path, e.g. `tasks[fit].with.epochs`; None if the fault is about the text or the whole file.
    :param text: The text of the file, for the excerpt.
    :param hidden_from: Column from which on the line is not shown, because it may hold a secret.
    """

    path: Path
    place: SourcePosition
    message: str
    hint: str | None = None
    key: str | None = None
    text: str = field(default="", repr=False, compare=False)
    hidden_from: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("message", "hint", "key"):
            text = getattr(self, name)
            if text and (len(text) > MAX_MESSAGE or "@" in text):
                object.__setattr__(self, name, cut(hide_logins(text), MAX_MESSAGE))

    def render(self) -> str:
        """Return the message with the line of source it is about, and the hint."""
        lines = lines_of(self.text)
        line, column = self.place.line, self.place.column
        message = printable_line(self.message)
        text = f"error: {printable_line(str(self.path))}:{line}:{column}: {message}"
        if 0 < line <= len(lines):
            source, start, width = self._excerpt(lines[line - 1])
            gutter = " " * len(str(line))
            text += f"\n  {line} | {source}\n  {gutter} | {' ' * start}{'^' * width}"
        return text if self.hint is None else f"{text}\n\nhint: {printable_line(self.hint)}"

    def _excerpt(self, line: str) -> tuple[str, int, int]:
        """Return the part of a line to show, and the start and width of the fault in that part."""
        column, width = self.place.column, min(self.place.width, _SHOWN)
        cut = max(0, column - 60)
        end = max(cut + _SHOWN, column + width)  # of a line of a mebibyte, only this part is looked at
        shown = [" " if sign == "\t" else printable_line(sign) for sign in line[cut:end]]
        spans = list(_login_spans(line))
        if self.hidden_from is not None:
            spans.append((self.hidden_from - 1, len(line), HIDDEN))
        for first, last, replacement in spans:
            start, stop = max(first - cut, 0), min(last - cut, len(shown))
            if start < stop:
                shown[start:stop] = [replacement if first >= cut else "", *[""] * (stop - start - 1)]
        before = "".join(shown[: column - 1 - cut])
        source = "".join(shown[:_SHOWN]).rstrip()
        marked = "".join(shown[column - 1 - cut : column - 1 - cut + width])
        return source, len(before), max(1, min(len(marked), len(source) - len(before)))


@functools.lru_cache(maxsize=2)
def lines_of(text: str) -> Sequence[str]:
    """Return the lines of a text. Cached, because a text may have many lines and many faults."""
    return tuple(text.splitlines())


@functools.lru_cache(maxsize=8)
def _login_spans(line: str) -> tuple[tuple[int, int, str], ...]:
    """Return `login_spans` of a line. Cached, because a line may be long and have many faults."""
    return tuple(login_spans(line)) if "://" in line else ()


def at_most(faults: Sequence[Fault], limit: int = MAX_FAULTS) -> tuple[Fault, ...]:
    """Return the first `limit` faults of a file, and if there are more, one that says so."""
    if len(faults) <= limit:
        return tuple(faults)
    last = faults[limit - 1]
    more = replace(last, message=f"there are more than these {limit} faults", hint="correct these first", key=None)
    return (*faults[:limit], more)


class FaultyText(SpecError):
    """
    Raised when a file, or a file that it names, has faults.

    :param faults: All of them. They are reported in the order of the file, followed by those of other files.
    :param text: The file's text, for the excerpts of faults that do not bring the text of their own file.
    """

    def __init__(self, faults: Iterable[Fault], text: str) -> None:
        # Two items of one matrix share their text, so their faults are equal and are reported once.
        unique = [fault if fault.text else replace(fault, text=text) for fault in dict.fromkeys(faults)]
        unique = _with_hidden_lines(unique)
        self.faults = tuple(sorted(unique, key=lambda fault: (fault.text != text, str(fault.path), fault.place)))
        reports = [fault.render() for fault in self.faults[:MAX_FAULTS]]
        if len(self.faults) > MAX_FAULTS:
            reports.append(f"error: {self.faults[0].path}: there are more than these {MAX_FAULTS} faults")
        super().__init__("\n\n".join(reports))


def _with_hidden_lines(faults: list[Fault]) -> list[Fault]:
    """Return the faults with the same part of a line hidden in all faults on that line."""
    hidden: dict[tuple[Path, int], int] = {}
    for fault in faults:
        if fault.hidden_from is not None:
            line = (fault.path, fault.place.line)
            hidden[line] = min(fault.hidden_from, hidden.get(line, fault.hidden_from))
    if not hidden:
        return faults
    return [replace(fault, hidden_from=hidden.get((fault.path, fault.place.line))) for fault in faults]
