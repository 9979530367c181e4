"""Suggest the name that an unknown name was probably meant to be, and list names in a message."""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from collections.abc import Iterable, Sequence

MAX_LISTED = 20
"""The most names that a message lists."""

_COMPARED = 50
_FILTERED = 10_000
_LONGEST = 40


def listed(names: Iterable[str], limit: int = MAX_LISTED, *, conjunction: str | None = None) -> str:
    """
    Return names in backticks with commas between them, cut after `limit` names; an empty text for no names.

    :param conjunction: The word before the last name, e.g. `or`. A list that is cut ends with `and 5 more` instead.
    """
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        return f"{', '.join(quoted[:limit])} and {len(quoted) - limit} more"
    if conjunction and len(quoted) > 1:
        return f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"
    return ", ".join(quoted)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """
    Return the candidate most like `word`, or None if none is close.

    Of many candidates, only those with the same first letter are compared. If no candidate is close, the comparison
    is repeated without case.
    """
    names = list(itertools.islice(candidates, _FILTERED))
    word = word[:_LONGEST]
    if len(names) > _COMPARED:
        first_letters = (word[:1], word[:1].swapcase())
        similar = (name for name in names if name[:1] in first_letters and abs(len(name) - len(word)) <= 3)
        names = list(itertools.islice(similar, _COMPARED))
    return _nearest(word, tuple(name for name in names if len(name) <= _LONGEST))


@functools.lru_cache(maxsize=256)  # several hints ask for the same word
def _nearest(word: str, names: Sequence[str]) -> str | None:
    if match := _closest(word, names, cutoff=0.6):
        return match
    by_lower = {name.lower(): name for name in reversed(names)}
    if word.islower() and list(by_lower.values()) == list(by_lower):
        return None  # no capital letter anywhere: compared above
    match = _closest(word.lower(), by_lower, cutoff=0.8)
    return by_lower[match] if match else None


def _closest(word: str, names: Iterable[str], cutoff: float) -> str | None:
    """Return the result of `difflib.get_close_matches`, without measuring names that cannot be closer than the best."""
    matcher: difflib.SequenceMatcher[str] = difflib.SequenceMatcher()
    matcher.set_seq2(word)
    best: tuple[float, str] | None = None
    for name in names:
        matcher.set_seq1(name)
        if matcher.real_quick_ratio() < cutoff or matcher.quick_ratio() < cutoff:
            continue
        cutoff = max(cutoff, ratio := matcher.ratio())
        if ratio >= cutoff:
            best = max(best, (ratio, name)) if best else (ratio, name)
    return best[1] if best else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the hint that names the known name most like `name`, or None if none is close."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near is not None else None


def suggestion(word: str, candidates: Iterable[str], *, what: str) -> str:
    """
    Return the hint for an unknown word: the nearest candidate, or all candidates if they are few.

    :param what: The plural of what a candidate is, e.g. `keys`.
    """
    names = list(candidates)
    hint = did_you_mean(word, sorted(names) if len(names) <= _FILTERED else names)
    if hint is not None:
        return hint
    if len(names) > MAX_LISTED:
        return f"remove it: none of the known {what} is like it"
    return f"known {what}: {listed(sorted(names))}." if names else f"there are no {what}"


def as_list(text: str, candidates: Iterable[str]) -> str | None:
    """Return the YAML list that a text of several candidates was meant to be, or None for any other text."""
    words = re.split(r"[,\s]+", text.strip())
    return f"[{', '.join(words)}]" if len(words) > 1 and set(words) <= set(candidates) else None
