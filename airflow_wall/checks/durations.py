"""Lengths of time as the YAML writes them, and times as the data hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_wall.text.durations import parse_duration


def duration(text: object) -> timedelta:
    """
    The length of time that `5m`, `1d12h` or ISO 8601 `PT5M` means.

    :raises ValueError: it is none; the error says "must be a duration, got ...".
    """
    found = parse_duration(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"must be a duration, got `{text}`")
    return found


def moment(text: str) -> datetime:
    """The time that an ISO 8601 text means, in UTC; one without a zone is UTC already."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def elapsed(start: str, end: str) -> timedelta:
    """How long after `start` `end` lies; both ISO 8601."""
    return moment(end) - moment(start)
