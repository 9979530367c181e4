"""Plain scalars are read as YAML 1.2 defines them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_wall.text.scalars import AmbiguousScalar, parse_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("", None), ("~", None), ("null", None),
        ("3", 3), ("-3", -3), ("0", 0), ("0x10", 16), ("0o10", 8), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5),
        ("on", "on"), ("NO", "NO"), ("yes", "yes"), ("y", "y"), ("12:30", "12:30"), ("12:30:45", "12:30:45"),
        ("2026-11-20", "2026-11-20"), ("1_000", "1_000"), ("1.2.3", "1.2.3"), ("5m", "5m"), ("+", "+"), ("-", "-"),
    ],
)  # fmt: skip
def test_plain_scalar_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = parse_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["010", "0755", "-01", ".nan", ".inf", "-.Inf", "1e999", "1" * 19])
def test_scalar_that_readers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(AmbiguousScalar):
        parse_plain(text)
