"""One package touches a lake: nowhere else is a path in it computed, and only state of one machine is a local file."""

from __future__ import annotations

import re
from pathlib import Path

import airflow_wall

PACKAGE = Path(airflow_wall.__file__).parent

LOCAL = {
    "cli/recipes.py": "the notes of `airflow-wall run` on this machine",
    "clusters/cluster_claim.py": "clusters in a cloud, whose jobs travel by a folder that all machines mount",
    "clusters/kinds/dataproc.py": "the same",
    "clusters/kinds/spark.py": "processes of this machine",
    "clusters/remote.py": "jobs that travel by a folder",
    "clusters/spark_watchdog.py": "processes of this machine",
    "environments/venv.py": "virtual environments of this machine",
    "environments/zipapp.py": "jobs that travel by a folder",
    "jobs/__main__.py": "jobs that travel by a folder",
    "jobs/forget.py": "texts of people in a lake that must be a folder",
    "storage/purge.py": "the log of a table in a lake that must be a folder",
}
"""Modules that write documents or files of one machine, and why."""

PATHS = re.compile(r"\bSTATE\) */|/ *STATE\b|\bstorage */ |\brun\.state */|(?<!`)_wall/")


def sources() -> dict[str, str]:
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {name: path.read_text() for name, path in files.items() if not name.startswith("lake/")}


def test_only_state_of_one_machine_is_written_without_the_lake() -> None:
    writes = re.compile(r"^from airflow_wall(\.state import| import (?:\w+, )*state\b)", re.MULTILINE)
    assert {name for name, text in sources().items() if writes.search(text)} == LOCAL.keys()


def test_no_path_in_a_lake_is_computed_elsewhere() -> None:
    code = {name: re.sub(r'"""[\s\S]*?"""|#[^\n]*', "", text) for name, text in sources().items()}
    assert {name: PATHS.findall(text) for name, text in code.items() if PATHS.search(text)} == {}


def test_the_pattern_sees_such_a_path() -> None:
    for text in ("plan.storage / name", "run.state / name", "folder / STATE", '"_wall/x"'):
        assert PATHS.search(text), text
