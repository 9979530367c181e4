"""Lengths of time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_wall.text.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(weeks=2)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT6H", timedelta(hours=30)),
        ("", None),
        ("5", None),
        ("5 m", None),
        ("m", None),
        ("P", None),
        ("PT", None),
        ("-5m", None),
    ],
)
def test_duration(text: str, length: timedelta | None) -> None:
    assert parse_duration(text) == length


def test_number_of_thousands_of_digits_is_rejected_as_a_duration() -> None:
    assert parse_duration("9" * 5_000 + "s") is None
