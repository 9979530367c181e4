"""
Any text costs bounded time and memory, and its faults are reported in our own messages.

Waits for: a process for each hostile text, in four sizes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MEASURE = Path(__file__).parent / "measure.py"
MEBIBYTES = 64
TIMES = 60
"""
How much longer a check may take than libyaml takes for 10,000 values, which is 0.01 CPU seconds on an idle machine.

The slowest texts take about 30 times as long.
"""


def measured(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(MEASURE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def costs() -> list[dict[str, Any]]:
    return measured()


def _beyond(costs: list[dict[str, Any]], what: str, limit: float) -> dict[str, float]:
    return {f"{of['name']} ({of['scale']})": of[what] for of in costs if of[what] > limit}


def test_nothing_but_our_own_errors(costs: list[dict[str, Any]]) -> None:
    assert len({of["name"] for of in costs}) > 100
    assert [(of["name"], of["scale"], of["defect"]) for of in costs if of["defect"] is not None] == []


def test_time_is_bounded(costs: list[dict[str, Any]]) -> None:
    assert _beyond(costs, "times", TIMES) == {}


def test_memory_is_bounded(costs: list[dict[str, Any]]) -> None:
    assert _beyond(costs, "mebibytes", MEBIBYTES) == {}


def test_reports_are_bounded(costs: list[dict[str, Any]]) -> None:
    assert {of["name"]: len(of["report"]) for of in costs if len(of["report"]) > 300_000} == {}


def test_without_a_bound_the_measurement_shows_it() -> None:
    (of,) = measured("unknown keys of the head", "--scale", "1", "--unbounded")
    assert (of["times"] > TIMES, of["mebibytes"] > MEBIBYTES) == (True, True)
