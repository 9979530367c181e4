"""The workflows are valid, and linters find nothing in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from deploy_files import DEPLOY, program

WORKFLOWS = sorted((DEPLOY.parent / ".github/workflows").glob("*.yaml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_the_keys_of_its_schema(path: Path) -> None:
    command = [program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_linter_finds_no_weakness(path: Path) -> None:
    command = [program("zizmor"), "--offline", "--no-progress", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
