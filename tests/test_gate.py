"""The gate runs every part that the testing guide lists, names slow parts and fails with a failing one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gate
import pytest

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "contributing" / "testing.md").read_text(encoding="utf-8")
PARTS = [*gate.ONE_BY_ONE, *gate.SIDE_BY_SIDE]


def test_gate_runs_what_the_guide_says_it_runs() -> None:
    in_guide = re.findall(r"^\| `(make [^`]+)` \|.*\| gate \| \d+ \|$", TABLE, re.MULTILINE)
    assert sorted(in_guide) == sorted({part.name for part in PARTS})


def test_every_target_of_the_guide_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name.split()[1] for name in gate.expected_seconds(TABLE)} <= targets


def test_full_runs_what_the_guide_says_it_runs() -> None:
    (recipe,) = re.findall(r"^full:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    in_full = re.findall(r"^\| `make ([\w-]+)[^`]*` \|.*\| (?:gate|full) \| \d+ \|$", TABLE, re.MULTILINE)
    assert {*in_full} - {"spark-quick"} <= set(recipe.split())


def test_slow_part_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    usual = gate.expected_seconds(TABLE)["make check"]
    part = gate.Part(("make", "check"))
    assert gate.report([gate.Result(part, usual * 1.4, passed=True)]) == 0
    assert "warning" not in capsys.readouterr().out
    assert gate.report([gate.Result(part, usual * 1.6, passed=True)]) == 0
    assert f"warning: `make check` took {usual * 1.6:.0f} s, expected about {usual} s" in capsys.readouterr().out


def test_failing_part_fails_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    failing = gate.Part((sys.executable, "-c", "raise SystemExit(3)"))
    assert not gate.run(failing).passed
    beside = gate.Part((sys.executable, "-c", "pass"))
    results = gate.run_side_by_side([failing, beside, beside])
    assert [result.passed for result in results] == [False, True, True]
    assert gate.report(results) == 1
    assert "FAILED" in capsys.readouterr().out


def test_part_must_print_what_is_expected() -> None:
    command = (sys.executable, "-c", "print('no new data in `landing`')")
    assert gate.run(gate.Part(command, expected="no new data")).passed
    assert not gate.run(gate.Part(command, expected="rows scored")).passed


@pytest.mark.parametrize("buffered", [False, True])
def test_report_names_failed_tests_last(*, buffered: bool, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "FAILED tests/test_x.py::test_a - AssertionError\n1 failed, 9 passed"
    failing = gate.Part((sys.executable, "-c", f"import sys; sys.exit(print({lines!r}) or 1)"))
    result = gate.run(failing, buffered=buffered)
    assert lines in capsys.readouterr().out
    gate.report([result])
    assert f"{failing.name}: FAILED tests/test_x.py::test_a - AssertionError\n" in capsys.readouterr().out
