"""Parse lengths of time such as `5m`, `1h30m` and ISO 8601 `PT5M`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_SHORT = re.compile(r"(?=\d)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_ISO = re.compile(
    r"P(?=[\dT])(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
DURATION_PATTERN = (
    r"^(?=\d)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"
    r"|^P(?=[\dT])(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$"
)
"""Durations, for the JSON schema: the same two forms, without years and months."""

_LONGEST = 100
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


@dataclass(frozen=True)
class Length:
    """
    A length of time as it is written, unit by unit.

    :param units: Number of `years`, `months`, `weeks`, `days`, `hours`, `minutes` and `seconds`, by unit.
    :param is_iso: True if it is written in ISO 8601, as `PT5M` and not as `5m`.
    """

    units: dict[str, int]
    is_iso: bool

    @property
    def is_calendar(self) -> bool:
        """Return True if it has years or months, whose length depends on when they begin."""
        return bool(self.units.get("years") or self.units.get("months"))


def parse_length(text: str) -> Length | None:
    """Return the units of a length of time such as `5m`, `1h30m` or ISO 8601 `P1Y2M`, or None for any other text."""
    if len(text) > _LONGEST:
        return None
    if (match := _SHORT.fullmatch(text)) and any(match.groups()):
        return Length(_counts(_UNITS, match), is_iso=False)
    if (match := _ISO.fullmatch(text)) and any(match.groups()):
        return Length(_counts(("years", "months", *_UNITS), match), is_iso=True)
    return None


def _counts(units: tuple[str, ...], match: re.Match[str]) -> dict[str, int]:
    return {unit: int(group or 0) for unit, group in zip(units, match.groups(), strict=True)}


def parse_duration(text: str) -> timedelta | None:
    """Return the duration of a text such as `5m`, `1h30m` or ISO 8601 `PT5M`, or None for any other text."""
    length = parse_length(text)
    if length is None or length.is_calendar:
        return None
    try:
        return timedelta(**{unit: length.units[unit] for unit in _UNITS})
    except OverflowError:  # longer than the longest timedelta, two million years
        return None
