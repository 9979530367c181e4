"""Functions and values that the templates of `example.macros` use."""

from __future__ import annotations

from datetime import datetime

MARGIN = "5 %"


def fiscal_year(date: datetime) -> int:
    """Return the fiscal year of a date. It begins in April."""
    return date.year if date.month >= 4 else date.year - 1


def quarter(date: str) -> str:
    """Return the quarter of a date, which is written `2024-03-01`."""
    return f"Q{(int(date[5:7]) + 2) // 3}"
