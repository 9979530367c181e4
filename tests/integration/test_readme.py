"""
The pipeline and the commands of the README work as they stand there.

Waits for: two runs of `airflow-wall`, with Airflow's start.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import COMMAND, REPOSITORY

pytestmark = pytest.mark.integration

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return str(text)


def test_readme_pipeline_runs_and_publishes_by_the_readme_commands(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "delays.yaml").write_text(block("yaml"), encoding="utf-8")
    shutil.copy(REPOSITORY / "connections.yaml", tmp_path)
    land = [sys.executable, REPOSITORY / "examples/nycflights13/land.py", "--until", "2013-01-02", "lake/landing"]
    subprocess.run(land, cwd=tmp_path, check=True)
    first, *others = (line.removeprefix("$ ") for line in block("console").splitlines())
    assert first == "make run"  # which also lands the data
    outputs = [run(command, tmp_path) for command in others]
    assert "published    release delays-20130701T000000Z" in outputs[0]
    assert outputs[1].splitlines()[0].split() == ["carrier", "flights", "delay"]
    assert len(outputs[1].splitlines()) >= 5


def run(command: str, folder: Path) -> str:
    program, *arguments = command.split()
    assert program == ".venv/bin/airflow-wall"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    result = subprocess.run(
        [COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
