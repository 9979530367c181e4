"""Parse durations of the YAML, and times of the data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_wall.text.durations import parse_duration


def duration(text: object) -> timedelta:
    """
    Return the duration that a text such as `5m`, `1d12h` or ISO 8601 `PT5M` means.

    :raises ValueError: the text is not a duration: "must be a duration, got ...".
    """
    length = parse_duration(text) if isinstance(text, str) else None
    if length is None:
        raise ValueError(f"must be a duration, got `{text}`")
    return length


def parse_time(text: str) -> datetime:
    """Return the time of an ISO 8601 text in UTC. A text without a zone is taken as UTC."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def elapsed(start: str, end: str) -> timedelta:
    """Return the time from `start` to `end`; both are ISO 8601."""
    return parse_time(end) - parse_time(start)
