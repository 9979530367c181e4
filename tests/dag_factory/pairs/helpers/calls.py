"""Functions that both documents of each pair name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any


def load(**keywords: Any) -> list[int]:
    """Return some numbers."""
    return [1, 2]


def add(number: int, more: int, unit: str = "day") -> int:
    """Return a sum."""
    return number + more


def tell(context: Any) -> None:
    """Say nothing."""


def tell_channel(context: Any, channel: str = "") -> None:
    """Say nothing to a channel."""


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def is_good(value: Any) -> bool:
    """Return True."""
    return True


def is_bad(value: Any) -> bool:
    """Return False."""
    return False


def day_before(logical_date: datetime) -> datetime:
    """Return the same time on the day before."""
    return logical_date - timedelta(days=1)
