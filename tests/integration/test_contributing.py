"""
The examples of CONTRIBUTING.md work when their files are added as it says, and nothing else is changed.

Waits for: a run by `airflow-wall run` on a database of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_wall.storage.backends import open_tables

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = re.findall(r"`(airflow_wall/[\w/]+\.py)`[^`]*?:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
(PIPELINE,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "airflow_wall", tmp_path / "packages/airflow_wall")
    for name, text in FILES:
        path = tmp_path / "packages" / name
        assert not path.exists()
        path.write_text(text)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/counted.yaml").write_text(PIPELINE)
    (tmp_path / "lake/landing").mkdir(parents=True)
    (tmp_path / "lake/landing/a.csv").write_text("id\n1\n2\n")
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'airflow-wall'; from airflow_wall.cli.main import main; main()"
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": str(project / "packages")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=240)


def test_its_example_runs(project: Path) -> None:
    assert len(FILES) == 8
    checked = run(project, "validate", "dags")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran = run(project, "run", "dags/counted.yaml", "--date", "2024-03-02")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
    assert open_tables(project / "lake").read("bronze/numbers").to_pylist() == [{"n": 1}, {"n": 2}, {"n": 3}]
    (published,) = (project / "lake/outbox/orders").glob("*/*.json")
    assert json.loads(published.read_text()) == [{"id": 1}, {"id": 2}]
    assert not list((project / "lake/_wall/clusters").glob("*.json"))
