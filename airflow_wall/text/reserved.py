"""Directory names of the lake that no table and no lake may have, in any spelling."""

from __future__ import annotations

import re
import unicodedata

STATE = "_wall"
"""Directory of a lake that holds airflow-wall's own state."""

PUBLISHED = "published"
"""Directory of a lake that holds the releases of `files://`, which clients read."""

RESERVED = (STATE, PUBLISHED, "_delta_log")
"""Names that airflow-wall or a table uses. They are reserved at any level of a path."""

_SEPARATORS = re.compile(r"[/\\]")
_LOOK_ALIKES = {
    ord(other): letter
    for letter, others in {
        "a": "аα", "b": "ьβ", "d": "ԁ", "e": "е", "g": "ɡ", "h": "һ", "i": "іιı", "l": "ӏ", "o": "оο", "p": "рρ",
        "s": "ѕ", "t": "тτ", "u": "υս", "w": "ѡԝ",
    }.items()
    for other in others
}  # fmt: skip
"""Small letters of other scripts, and the Latin letters of the reserved names that they look like."""


def reserved_part(path: str) -> str | None:
    """
    Return the first part of a path that is, or looks like, a reserved name, or None if there is none.

    Case is ignored, because some file systems ignore it. So are widths, ligatures, invisible characters, and dots and
    spaces at the end, which some file systems drop.
    """
    return next((part for part in _SEPARATORS.split(path) if _skeleton(part) in RESERVED), None)


def _skeleton(name: str) -> str:
    """Return the letters that a reader, or a lenient file system, sees in a name."""
    if name.isascii():
        return name.lower().strip().rstrip(" .")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(letter for letter in folded if unicodedata.category(letter)[0] != "C")
    return seen.translate(_LOOK_ALIKES).strip().rstrip(" .")
