"""Find the date in the name of a file, for `by: date`."""

from __future__ import annotations

import datetime
import re

_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)"
    r"(?:(?P<sign>[-_./])(?P<month>\d\d)(?P=sign)(?P<day>\d\d)|(?P<months>\d\d)(?P<days>\d\d))"
    r"(?=\D|$|\d{4}(?:\D|$)|\d{6}(?:\D|$))"  # a time may follow
)
_PARTITIONS = re.compile(r"(?:^|/)year=(?P<year>\d{4})/month=(?P<month>\d{1,2})/day=(?P<day>\d{1,2})(?:/|$)")


def dates_in(path: str) -> list[str]:
    """
    Return the different dates in a path as ISO dates, sorted.

    A date is written as `2013-07-01`, `2013_07_01`, `20130701`, `2013/07/01` or `year=2013/month=07/day=01`. A time may
    follow.
    """
    found = [
        (match["year"], match["month"] or match["months"], match["day"] or match["days"])
        for match in _DATE.finditer(path)
    ]
    found += [(match["year"], match["month"], match["day"]) for match in _PARTITIONS.finditer(path)]
    return sorted({date for parts in found if (date := _iso(*parts)) is not None})


def _iso(year: str, month: str, day: str) -> str | None:
    try:
        return datetime.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
