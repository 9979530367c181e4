"""
The commands that `airflow-wall init` prints work as they stand there, and the tests that it writes pass.

Waits for: runs of `airflow-wall`, each with Airflow's start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from project import COMMAND

pytestmark = pytest.mark.integration


def run(command: list[str | Path], folder: Path) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    inherited["PATH"] = f"{sysconfig.get_path('scripts')}{os.pathsep}{inherited['PATH']}"
    result = subprocess.run(
        command, cwd=folder, env=inherited, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("template", "test"),
    [
        ("minimal", "negative"),
        ("article", None),
        pytest.param("training", "", marks=pytest.mark.slow),
        pytest.param("sql-only", "", marks=pytest.mark.slow),
    ],
)
def test_printed_commands_succeed_at_the_first_try(tmp_path: Path, template: str, test: str | None) -> None:
    """`test` selects tests of the project, which run last; None for none of them."""
    output = run([COMMAND, "init", "shop", "--template", template], tmp_path)
    commands = [line.partition("#")[0].split() for line in output.splitlines() if line.startswith("  ")]
    change, validate, once, query, tests = commands
    assert change == ["cd", "shop"]
    folder = tmp_path / "shop"
    assert run(validate, folder) == "1 pipeline in 1 file: all good\n"
    assert ": success\n" in run(once, folder)
    assert len(run(query, folder).splitlines()) > 3
    assert tests == ["python", "-m", "pytest"]
    if test is not None:
        assert " passed" in run([sys.executable, *tests[1:], "-k", test, f"--basetemp={tmp_path / 'bt'}"], folder)
