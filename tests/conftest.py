"""Runs the slowest test files first, so that all processes of `make test` finish at about the same time."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DURATIONS = TESTS / "durations.json"
"""Seconds by test file, as `make durations` measured them. Files below one second are left out."""

UNMEASURED = 30.0
"""Seconds that an integration test is expected to take before it is measured."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-durations", action="store_true", help=f"write seconds by file to {DURATIONS.name}")


def pytest_configure(config: pytest.Config) -> None:
    # With xdist only the controller sees the reports of all processes.
    if config.getoption("--record-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(DurationRecorder())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = json.loads(DURATIONS.read_text())
    items.sort(key=lambda item: _seconds_of(_file(item.nodeid), seconds), reverse=True)


def _seconds_of(name: str, measured: dict[str, float]) -> float:
    """Return the seconds of a test file. One that was not measured yet may be slow if it runs real parts."""
    return measured.get(name, UNMEASURED if name.startswith("integration/") else 0.0)


class DurationRecorder:
    """Adds up the seconds of each file and writes them when the session ends."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[_file(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        known = json.loads(DURATIONS.read_text()) | {name: round(value) for name, value in self.seconds.items()}
        slowest_first = sorted(known.items(), key=lambda entry: (-entry[1], entry[0]))
        kept = {name: value for name, value in slowest_first if value >= 1 and (TESTS / name).exists()}
        DURATIONS.write_text(json.dumps(kept, indent=2) + "\n")


def _file(nodeid: str) -> str:
    """The test file of a test, relative to `tests/`."""
    return nodeid.partition("::")[0].removeprefix("tests/")


@pytest.fixture
def clean_imports() -> Iterator[None]:
    """Forget the modules that a test imports, and its changes of the import path."""
    before, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]
    sys.path[:] = path
