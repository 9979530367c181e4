"""Airflow's home for runs from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from airflow_wall.cli.home import find_home
from airflow_wall.connections.info import FILE_VARIABLE
from airflow_wall.settings import Settings

PROGRAM = """
import subprocess, sys
from pathlib import Path
from airflow_wall.cli.home import quiet_terminal
with quiet_terminal(Path("logs/console.log")) as terminal:
    print("noise")
    subprocess.run(["sh", "-c", "echo more noise >&2"], check=True)
    print("for the user", file=terminal)
    if sys.argv[1:]:
        raise SystemExit("the fault")
print("late noise")
"""


def quiet(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_only_what_is_for_the_user_reaches_the_terminal(tmp_path: Path) -> None:
    found = quiet(tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (0, "for the user\n", "")
    assert sorted((tmp_path / "logs/console.log").read_text().splitlines()) == ["late noise", "more noise", "noise"]


def test_an_error_finds_the_terminal_as_it_was(tmp_path: Path) -> None:
    found = quiet(tmp_path, "fail")
    assert (found.returncode, found.stdout, found.stderr) == (1, "for the user\n", "the fault\n")


def test_connections_come_from_the_file_where_there_is_one(tmp_path: Path) -> None:
    home, file = find_home(tmp_path, {}), tmp_path / "connections.yaml"
    without = home.environment(Settings(), file)
    assert "AIRFLOW__SECRETS__BACKEND" not in without
    file.write_text("{}")
    with_file = home.environment(Settings(), file)
    assert json.loads(with_file["AIRFLOW__SECRETS__BACKEND_KWARGS"]) == {"connections_file_path": str(file)}
    assert without[FILE_VARIABLE] == with_file[FILE_VARIABLE] == str(file)
