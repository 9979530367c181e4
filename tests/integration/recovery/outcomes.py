"""Dates of the runs that these tests repeat, and assertions about their outcome."""

from __future__ import annotations

import time
from collections.abc import Callable

from project import Project

FIRST, SECOND = "2013-01-07", "2013-01-08"
FIRST_RUN, SECOND_RUN = (f"manual__{date}T00:00:00-05:00" for date in (FIRST, SECOND))


def assert_all_is_published(project: Project) -> None:
    """Every landed row is in bronze once, and every scored row is in the database and in the index once."""
    assert project.bronze() == project.landed()
    scored = project.scored()
    assert set(scored.values()) == {1}
    assert project.published() == scored
    assert project.indexed() == scored


def assert_still_published(project: Project, before: Project) -> None:
    """Clients see what they saw before this run."""
    assert project.published() == before.published() != {}
    assert project.indexed() == before.indexed() != {}


def wait_for(happened: Callable[[], object], over: Callable[[], object], seconds: float = 120) -> bool:
    """Wait until something has happened; False where it has not in that time, or where it cannot any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and over() is None:
        if happened():
            return True
        time.sleep(0.01)
    return False
