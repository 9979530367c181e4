"""The parcel: what jobs need of this package, and no more."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement

from airflow_wall.environments.base import NEEDS
from airflow_wall.environments.parcel import TRAVELS, parcel

ROOT = Path(__file__).parents[3]
COMPUTES = ("ingest", "transform", "retrain", "predict")


def test_same_package_gives_the_same_bytes_under_the_same_name(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from airflow_wall.environments.parcel import parcel\n"
        "print(parcel(Path(sys.argv[1])))"
    )
    paths = []
    for name in ("a", "b"):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        paths.append(Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()))
    assert paths[0].name == paths[1].name
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) < 300_000


def test_parcel_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    before = parcel(tmp_path).stat()
    assert parcel(tmp_path).stat() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_parcel_has_none_of_what_knows_airflow_or_yaml(tmp_path: Path) -> None:
    names = zipfile.ZipFile(parcel(tmp_path)).namelist()
    assert names == sorted(names)
    for absent in ("operators", "hooks", "loader", "compiler", "spec", "clusters", "cli", "fronts"):
        assert not [name for name in names if name.startswith(f"airflow_wall/{absent}")]


@pytest.fixture(scope="module")
def reached() -> set[str]:
    """Every module that a job that computes may import, those of the tables of storages and models among them."""
    graph = grimp.build_graph("airflow_wall", include_external_packages=True)
    tables = [name for name in graph.modules if name.startswith(("airflow_wall.storage.", "airflow_wall.models."))]
    found: set[str] = set()
    stack = ["airflow_wall.jobs.__main__", *(f"airflow_wall.jobs.{kind}" for kind in COMPUTES), *tables]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += graph.find_modules_directly_imported_by(name) if name.startswith("airflow_wall") else []
    return found


def test_what_jobs_import_of_the_package_travels(reached: set[str]) -> None:
    tops = {name.split(".")[1] for name in reached if name.startswith("airflow_wall.")}
    assert tops <= {name.removesuffix(".py") for name in TRAVELS}


def test_what_jobs_import_of_others_is_in_the_list_of_their_needs(reached: set[str]) -> None:
    others = {name for name in reached if not name.startswith("airflow_wall")} - sys.stdlib_module_names
    named = {"scikit-learn": "sklearn"}
    needed = {named.get(name, name) for name in (Requirement(each).name for each in NEEDS)}
    of_some = {"lightgbm", "pyspark", "sqlglot"}  # which only those need who train with it, or use Spark
    assert others - of_some == needed


def test_needs_of_jobs_are_dependencies_of_the_package_to_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(NEEDS) <= {*project["optional-dependencies"]["local"], *project["dependencies"]}


def test_parcel_runs_a_job_without_the_package(tmp_path: Path) -> None:
    path = parcel(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(path)!r}); import airflow_wall.jobs.__main__ as m; print(m.__file__)"
    )
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == f"{path}/airflow_wall/jobs/__main__.py"
