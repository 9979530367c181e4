"""
The cursor of a SQL table: the column whose values say which rows are new.

Rows do not appear in the order of their cursor: two rows have one time, and a long transaction commits an earlier one
late. So each reading begins at the last processed value, or `lag` before it, and rows that were read before are left
out when they are stored.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import types

from airflow_wall.errors import DataError
from airflow_wall.text.durations import parse_duration

_READ: dict[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    decimal.Decimal: decimal.Decimal,
    datetime.date: datetime.date.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
}
_NUMBERS = (int, float, decimal.Decimal)
_ISO_TEXT = re.compile(r"\d{4}-\d\d-\d\d(?:(?P<sign>[T ])\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?P<zone>Z?))?")
_SQLITE_TIME = "%Y-%m-%d %H:%M:%f"


@dataclass(frozen=True)
class Mark:
    """
    The point up to which a table has been read.

    :param value: The highest value of the cursor.
    :param rows: Number of rows from `lag` before it on; None if an older airflow-wall recorded it.
    """

    value: Any
    rows: int | None


class Cursor:
    """
    The cursor of a table.

    :param source: The source, for messages.
    :param column: The column.
    :param lag: A number, or a duration for a column of times; None for 0.
    :raises DataError: the column has no order, or `lag` does not suit its type.
    """

    def __init__(self, source: str, column: sqlalchemy.Column[Any], lag: str | float | None, dialect: str) -> None:
        self.name = column.name
        self._source = source
        self._column = column
        self._kind = _python_type(column)
        self._is_text_time = dialect == "sqlite" and isinstance(column.type, types.DateTime)
        if self._kind not in _READ:
            raise DataError(
                f"`cursor` must be a column with an order, got `{column.name}` of `{source}` with type `{column.type}`",
                hint="name a column of numbers or times that only grow",
            )
        self._lag = self._read_lag(lag)

    def _read_lag(self, lag: str | float | None) -> Any:
        if lag is None:
            return None
        if self._kind in _NUMBERS:
            if isinstance(lag, int | float) and not isinstance(lag, bool) and lag >= 0:
                return decimal.Decimal(str(lag)) if self._kind is decimal.Decimal else lag
            raise DataError(
                f"`lag` must be a number, because `{self.name}` is one, got `{lag}`", hint="write, e.g., `lag: 1000`"
            )
        duration = parse_duration(lag) if isinstance(lag, str) else None
        if duration is None:
            raise DataError(
                f"`lag` must be a duration, because `{self.name}` is a time, got `{lag}`", hint="write, e.g., `lag: 1h`"
            )
        return duration

    # --- versions

    def version(self, mark: Mark) -> str:
        """Return a mark as the version of a source: `id=42#3`."""
        value = mark.value.isoformat() if isinstance(mark.value, datetime.date) else str(mark.value)
        return f"{self.name}={value}" + ("" if mark.rows is None else f"#{mark.rows}")

    def mark(self, version: str) -> Mark:
        """Return the mark of a version of this cursor."""
        text, _, rows = version.removeprefix(f"{self.name}=").partition("#")
        return Mark(_READ[self._kind](text), int(rows) if rows else None)

    def last(self, versions: Iterable[str]) -> Mark | None:
        """
        Return the highest mark among versions, with the newest count; None if there is none.

        Versions of another cursor, or of the table as a whole, cannot be compared with this cursor's.
        """
        marks = [self.mark(version) for version in versions if version.startswith(f"{self.name}=")]
        return max(marks, key=lambda mark: mark.value, default=None)

    def is_done(self, mark: Mark, versions: Iterable[str]) -> bool:
        """Return True if this mark, or one of an older airflow-wall with its value, is among versions."""
        known = [self.mark(version) for version in versions if version.startswith(f"{self.name}=")]
        return any(other.value == mark.value and other.rows in (None, mark.rows) for other in known)

    # --- queries

    @property
    def order(self) -> Any:
        """The expression that orders rows."""
        # SQLite stores times as texts of several forms, which do not sort as times.
        return sqlalchemy.func.strftime(_SQLITE_TIME, self._column) if self._is_text_time else self._column

    def not_before(self, value: Any) -> Any:
        """Return the condition for rows at a value, in the stretch of `lag` before it, or after it."""
        return self.order >= self._bound(self._minus_lag(value))

    def not_after(self, value: Any) -> Any:
        """Return the condition for rows up to a value."""
        return self.order <= self._bound(value)

    def _bound(self, value: Any) -> Any:
        if not self._is_text_time:
            return value
        utc = value.astimezone(datetime.UTC) if value.tzinfo else value
        return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03}"

    def _minus_lag(self, value: Any) -> Any:
        if self._lag is None:
            return value
        try:
            if self._kind is str:
                return _text_minus(value, self._lag)
            if self._kind is datetime.date:
                return value - datetime.timedelta(days=-(-self._lag // datetime.timedelta(days=1)))
            return value - self._lag
        except OverflowError:
            return value

    # --- values

    def check(self, values: Iterable[Any]) -> None:
        """
        Check that texts sort as times.

        :raises DataError: a value is not an ISO date or time, or two have different forms.
        """
        if self._kind is not str:
            return
        forms: dict[tuple[str, str], str] = {}
        for value in values:
            match = _ISO_TEXT.fullmatch(str(value))
            if match is None:
                raise DataError(
                    f"`cursor` `{self.name}` of `{self._source}` is text, and `{value}` is not an ISO date or time",
                    hint="name a column of numbers or times, or a view of the table in which it is one",
                )
            shape = re.sub(r"\d", "0", str(value)) if match["zone"] else ""
            if match["sign"]:
                forms.setdefault((match["sign"], shape), str(value))
        if len(forms) > 1:
            first, second = list(forms.values())[:2]
            raise DataError(
                f"`cursor` `{self.name}` of `{self._source}` is text in two forms, `{first}` and `{second}`, which do "
                "not sort as times",
                hint="name a column of times, or a view of the table in which it is one",
            )


def _text_minus(text: str, lag: datetime.timedelta) -> str:
    moment = datetime.datetime.fromisoformat(text) - lag
    sign = text[10:11]
    return f"{moment:%Y-%m-%d}{sign}{moment:%H:%M:%S}" if sign else f"{moment:%Y-%m-%d}"


def _python_type(column: sqlalchemy.Column[Any]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return object
