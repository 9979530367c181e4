"""Write text and values for a terminal: short, and with characters that act on it or hide text escaped."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0, DEL and C1; not tab and line feed
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction, and a space without width
    "\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\U000e0000-\U000e0fff"  # other line ends and invisible characters
    "\ud800-\udfff"  # surrogates: half of a pair, or a byte of a file name that is not UTF-8
)
_IN_TEXT = re.compile(f"[{_UNSAFE}]")
_IN_LINE = re.compile(f"[\t\n{_UNSAFE}]")


def printable(text: str) -> str:
    r"""Return text of several lines with its unsafe characters as escapes, e.g. `\x1b`; tabs and line feeds stay."""
    return text if text.isprintable() else _IN_TEXT.sub(_escape, text)


def printable_line(text: str) -> str:
    r"""Return text as one line: as `printable`, and with tabs and line feeds as `\t` and `\n`."""
    return text if text.isprintable() else _IN_LINE.sub(_escape, text)


def printable_json(document: str) -> str:
    r"""Return a JSON document with the unsafe characters of its texts as JSON's own escapes, e.g. `\u001b`."""
    return document if document.isprintable() else _IN_TEXT.sub(lambda match: json.dumps(match.group())[1:-1], document)


def brief(value: Any, limit: int = 60) -> str:
    """Return a value as text for a message: JSON unless it is text, on one line, cut when long."""
    if not isinstance(value, str):
        # In pieces, of which each is at least a character: a value may be as large as its file.
        pieces = json.JSONEncoder(default=str, ensure_ascii=False).iterencode(value)
        try:
            value = "".join(itertools.islice(pieces, 2 * limit))
        except TypeError:  # a mapping of YAML 1.1 may have dates as keys
            value = str(value)
    return cut(" ".join(value[: 100 * limit].split()), limit)


def cut(text: str, limit: int) -> str:
    """Return the first `limit` characters of a text, the last of them `…` if there are more."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "backslashreplace").decode("ascii")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, e.g. `1 row` or `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
