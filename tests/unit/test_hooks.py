"""The ready-made pre-commit hooks, and what the guide to checking says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "checking-pipelines.md").read_text()


@pytest.mark.parametrize(
    "hook", yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()), ids=lambda hook: hook["id"]
)
def test_hook_checks_the_files_that_it_is_given(hook: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: []\n")
    (tmp_path / "values.yaml").write_text("a: 1\n")
    command, *arguments = hook["entry"].split()
    assert command == "airflow-wall"
    program = [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", *arguments]
    for files, code in ((["values.yaml"], 0), (["values.yaml", "bad.yaml"], 1)):
        assert subprocess.run([*program, *files], cwd=tmp_path, capture_output=True, check=False).returncode == code


def test_guide_tells_the_keys_of_the_json(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dag_id: bad\ntasks: []\n")
    program = [
        sys.executable,
        "-c",
        "from airflow_wall.cli.main import main; main()",
        "validate",
        "--json",
        ".",
    ]
    found = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    described = re.findall(
        r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", GUIDE.rpartition("## In a program")[2], re.MULTILINE))
    )
    assert set(json.loads(found.stdout)[0]) == set(described)
