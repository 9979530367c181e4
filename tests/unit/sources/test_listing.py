"""Patterns of paths: what they match, and in how many steps."""

from __future__ import annotations

import fnmatch

import pytest

from airflow_wall.sources import listing as sources
from airflow_wall.sources.listing import match


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("a", "a", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/b/c.csv", "**/*.csv", True),
        ("c.csv", "**/*.csv", True),
        ("a/b", "**", True),
        ("a/b/c", "a/**/c", True),
        ("a/c", "a/**/c", True),
        ("a/b/d", "a/**/c", False),
        ("x/a/y/b/z", "**/a/**/b/*", True),
        ("x/a/y/b", "**/a/**/b/*", False),
        ("a/b", "*/**/**/b", True),
    ],
)
def test_stars_match_folders(path: str, pattern: str, matches: bool) -> None:
    assert match(path.split("/"), pattern.split("/")) is matches


def test_many_stars_take_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    same = fnmatch.fnmatchcase
    monkeypatch.setattr(sources.fnmatch, "fnmatchcase", lambda name, sign: compared.append(name) or same(name, sign))
    assert not match(["a"] * 40, ["**", "a"] * 12 + ["b"])
    assert len(compared) <= 40 * 25
