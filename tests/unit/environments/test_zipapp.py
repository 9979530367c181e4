"""The zipapp holds the part of this package that jobs need, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement

from airflow_wall.environments.base import NEEDS
from airflow_wall.environments.zipapp import parcel
from airflow_wall.jobs.base import JOBS

ROOT = Path(__file__).parents[3]
COMPUTES = ("ingest", "transform", "retrain", "predict")
REGISTRIES = ("airflow_wall.storage.", "airflow_wall.models.", "airflow_wall.sources.")


def test_same_package_gives_the_same_bytes_under_the_same_name(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from airflow_wall.environments.zipapp import parcel\n"
        "print(parcel(Path(sys.argv[1])))"
    )
    paths = []
    for name in ("a", "b"):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        paths.append(Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()))
    assert paths[0].name == paths[1].name
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) < 500_000  # a cluster fetches it once for each release of the package


def test_parcel_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    before = parcel(tmp_path).stat()
    assert parcel(tmp_path).stat() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_parcel_has_none_of_what_knows_airflow_or_yaml(tmp_path: Path) -> None:
    names = zipfile.ZipFile(parcel(tmp_path)).namelist()
    assert names == sorted(names)
    for absent in ("operators", "hooks", "loader", "planner", "dag", "language", "clusters", "cli", "fronts"):
        assert not [name for name in names if name.startswith(f"airflow_wall/{absent}")]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("airflow_wall", include_external_packages=True)


def reached(graph: grimp.ImportGraph, jobs: Iterable[str]) -> set[str]:
    """Every module that these jobs may import, those of the registries of tables, models and sources among them."""
    tables = [name for name in graph.modules if name.startswith(REGISTRIES)]
    modules: set[str] = set()
    stack = ["airflow_wall.jobs.__main__", *(f"airflow_wall.jobs.{kind}" for kind in jobs), *tables]
    while stack:
        name = stack.pop()
        if name not in modules:
            modules.add(name)
            stack += graph.find_modules_directly_imported_by(name) if name.startswith("airflow_wall") else []
    return modules


def test_what_jobs_import_of_the_package_travels(graph: grimp.ImportGraph, tmp_path: Path) -> None:
    names = zipfile.ZipFile(parcel(tmp_path)).namelist()
    travelling = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names}
    assert {name for name in reached(graph, JOBS) if name.startswith("airflow_wall")} <= travelling


def test_nothing_travels_without_reason(graph: grimp.ImportGraph, tmp_path: Path) -> None:
    tops = {name.split(".")[1] for name in reached(graph, JOBS) if name.startswith("airflow_wall.")}
    names = zipfile.ZipFile(parcel(tmp_path)).namelist()
    assert {name.split("/")[1].removesuffix(".py") for name in names if "/" in name} <= tops | {"__init__"}


def test_what_jobs_import_of_others_is_in_the_list_of_their_needs(graph: grimp.ImportGraph) -> None:
    others = {
        name for name in reached(graph, COMPUTES) if not name.startswith("airflow_wall")
    } - sys.stdlib_module_names
    named = {"scikit-learn": "sklearn"}
    others -= {"pydantic_core", "yaml"}  # part of pydantic; for the command line
    needed = {named.get(name, name) for name in (Requirement(item).name for item in NEEDS)}
    of_some = {
        "boto3",
        "catboost",
        "lightgbm",
        "obstore",
        "psycopg",
        "pymysql",
        "pyspark",
        "safetensors",
        "sqlglot",
        "torch",
        "xgboost",
    }  # needed only by jobs that train with it, read a bucket, Postgres or MySQL, or use Spark
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
