"""Decisions that the examples make when they run."""

from __future__ import annotations


def days() -> list[dict[str, str]]:
    """The days there is something to load for."""
    return [{"DAY": "2024-03-01"}, {"DAY": "2024-03-02"}]


def which(rows: int) -> str:
    """The task to go on with."""
    return "many" if rows > 2 else "few"
