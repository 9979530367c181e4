"""The virtual environments that tests/venv.sh makes for suites, with a stand-in for uv that records its calls."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("venv.sh")
UV = f"""#!/bin/sh
echo "$@" >>"$CALLS"
if [ "$1" = venv ]; then
  for folder; do :; done
  mkdir -p "$folder/bin"
  ln -s {sys.executable} "$folder/bin/python"
elif [ "$4" = --no-deps ]; then
  echo "$PWD" >"${{6%python}}airflow-wall"
else
  echo "dependency" >"${{6%python}}dependency"
fi
"""


class Machine:
    """A home folder, and checkouts that use its cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        (folder / "bin").mkdir()
        (folder / "bin/uv").write_text(UV)
        (folder / "bin/uv").chmod(0o755)

    def checkout(self, name: str) -> Path:
        path = self.folder / name
        (path / "tests").mkdir(parents=True)
        shutil.copy(SCRIPT, path / "tests")
        (path / "pins.txt").write_text("six==1.17.0\n")
        (path / "pyproject.toml").write_text(
            "[project]\ndependencies = ['six']\n[project.optional-dependencies]\n[dependency-groups]\n"
        )
        return path

    def use(self, checkout: Path, *arguments: str, command: str = "") -> subprocess.CompletedProcess[str]:
        program = f'set -euo pipefail; . tests/venv.sh; use_venv suite "$@"; {command}'
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "CALLS": str(self.calls),
        }
        environment["PYTHON"] = sys.executable
        return subprocess.run(
            ["bash", "-c", program, "bash", *(arguments or ("-c", "pins.txt"))],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

    def installs(self) -> int:
        """How often dependencies were installed."""
        return sum("--compile-bytecode" in call for call in self.calls.read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_second_checkout_installs_no_dependency_again(machine: Machine) -> None:
    first, second = machine.checkout("first"), machine.checkout("second")
    for checkout in (first, second, first):
        machine.use(checkout)
    assert machine.installs() == 1
    for checkout in (first, second):
        scripts = checkout / ".venvs/suite/bin"
        assert (scripts / "dependency").read_text() == "dependency\n"
        assert (scripts / "airflow-wall").read_text() == f"{checkout}\n"


@pytest.mark.parametrize(
    ("file", "old", "new"), [("pins.txt", "1.17.0", "1.16.0"), ("pyproject.toml", "['six']", "['six', 'attrs']")]
)
def test_dependencies_that_change_are_installed_again(machine: Machine, file: str, old: str, new: str) -> None:
    checkout = machine.checkout("first")
    machine.use(checkout)
    (checkout / file).write_text((checkout / file).read_text().replace(old, new))
    machine.use(checkout)
    assert machine.installs() == 2


def test_other_arguments_are_installed_again(machine: Machine) -> None:
    checkout = machine.checkout("first")
    machine.use(checkout)
    machine.use(checkout, "-c", "pins.txt", "attrs")
    assert machine.installs() == 2


def test_environment_in_use_survives_a_renewal_by_another_checkout(machine: Machine) -> None:
    first, second = machine.checkout("first"), machine.checkout("second")
    machine.use(first)
    for stamp in machine.folder.glob(".cache/airflow-wall/suites/*/.installed"):
        subprocess.run(["touch", "-d", "8 days ago", stamp, stamp.parent], check=True)
    machine.use(second)
    assert machine.installs() == 2
    assert (first / ".venvs/suite/bin/dependency").read_text() == "dependency\n"


def test_each_run_has_an_airflow_home_of_its_own_that_it_removes(machine: Machine) -> None:
    checkout = machine.checkout("first")
    homes = [
        Path(machine.use(checkout, command='test -d "$AIRFLOW_HOME"; echo "$AIRFLOW_HOME"').stdout.strip())
        for _ in range(2)
    ]
    assert homes[0] != homes[1]
    assert not any(home.exists() for home in homes)
