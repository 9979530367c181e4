"""
The commands that `airflow-wall init` prints work as they stand there, and the tests that it writes pass.

Waits for: runs of `airflow-wall`, each with Airflow's start.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from project import COMMAND

pytestmark = pytest.mark.integration


def run(command: Sequence[str | Path], folder: Path, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    inherited |= variables
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
        pytest.param("article", "", marks=pytest.mark.slow),
        pytest.param("training", "", marks=pytest.mark.slow),
        pytest.param("sql-only", "", marks=pytest.mark.slow),
    ],
)
def test_printed_commands_succeed_at_the_first_try(tmp_path: Path, template: str, test: str) -> None:
    """`test` selects tests of the project, which run last."""
    init = [COMMAND, "init", "shop", "--template", template, "--ci", "gitlab"]
    follow(printed_commands(init, tmp_path), tmp_path / "shop", test)


def test_project_for_a_csv_file_succeeds_at_the_first_try(tmp_path: Path) -> None:
    drawn = random.Random(1)
    lines = ["PassengerId;Survived;Name;Sex;order;Age"]
    for index in range(150):
        sex = drawn.choice(["male", "female"])
        survived = "yes" if drawn.random() < (0.9 if sex == "female" else 0.1) else "no"
        age = "" if drawn.random() < 0.2 else f"{drawn.randrange(1, 80)},5"
        lines.append(f'{index};{survived};"Doe, ""J.""\nno. {index}";{sex};{drawn.randrange(9)};{age}')
    (tmp_path / "on board.csv").write_text("\n".join(lines))
    init = [COMMAND, "init", "shop", "--from", "on board.csv", "--target", "Survived", "--ci", "gitlab"]
    follow(printed_commands(init, tmp_path), tmp_path / "shop", "without_rows")


def printed_commands(init: list[str | Path], folder: Path) -> list[list[str]]:
    """Make the project `shop`, and return the commands after `cd shop`."""
    output = run(init, folder)
    change, *commands = [line.partition("#")[0].split() for line in output.splitlines() if line.startswith("  ")]
    assert change == ["cd", "shop"]
    return commands


def follow(commands: list[list[str]], folder: Path, test: str) -> None:
    validate, once, query, tests = commands
    assert run(validate, folder) == "1 pipeline in 1 file: all good\n"
    assert ": success\n" in run(once, folder)
    assert len(run(query, folder).splitlines()) > 3
    assert tests == ["python", "-m", "pytest"]  # the script of continuous integration does that, too
    jobs = yaml.safe_load((folder / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    install, check = jobs["check"]["script"]
    assert install == "pip install -r requirements.txt"
    assert " passed" in run(check.split(), folder, PYTEST_ADDOPTS=f"-k '{test}' --basetemp='{folder.parent / 'bt'}'")
    reports = jobs["check"]["artifacts"]["reports"]
    assert json.loads((folder / reports["codequality"]).read_text()) == []
    assert "<testsuite " in (folder / reports["junit"]).read_text()
