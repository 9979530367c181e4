"""The package keeps its own conventions."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import airflow_wall
from airflow_wall.clusters import dataproc_request, emr_request
from airflow_wall.clusters.backends import CLUSTERS
from airflow_wall.dag.signatures import OPERATORS
from airflow_wall.jobs.base import JOBS
from airflow_wall.language.cluster_registry import CLUSTERS as CLUSTER_BLOCKS
from airflow_wall.language.clusters import dataproc, emr
from airflow_wall.language.step_registry import STEPS
from airflow_wall.provider import get_provider_info

ROOT = Path(__file__).parents[1]
OF_NEWER_AIRFLOW = {"airflow_wall.importer", "airflow_wall.fronts.importer"}
"""Modules that need what only Airflow 3.4 has; `make compat` runs them."""
OF_PROVIDERS = {
    "airflow_wall.hooks.dataproc": "google",
    "airflow_wall.hooks.emr": "amazon",
    "airflow_wall.operators.open_lineage": "openlineage",
}
"""Modules that need a provider of Airflow; suites with a venv of their own do without some of them."""
OF_LIBRARIES = {
    "airflow_wall.engines.spark.engine": "pyspark",
    "airflow_wall.models.catboost_file": "catboost",
    "airflow_wall.models.torch_safetensors": "torch",
    "airflow_wall.models.xgboost_json": "xgboost",
}
"""Modules that need a library of an extra; suites with a venv of their own do without some of them."""
PROVIDERS = {
    path.name for path in map(Path, importlib.import_module("airflow.providers").__path__) for path in path.iterdir()
}
IMPORTERS = importlib.util.find_spec("airflow.sdk.importers") is not None
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(airflow_wall.__path__, "airflow_wall.")
    if (IMPORTERS or found.name not in OF_NEWER_AIRFLOW)
    and OF_PROVIDERS.get(found.name, "standard") in PROVIDERS
    and importlib.util.find_spec(OF_LIBRARIES.get(found.name, "airflow_wall")) is not None
)


def test_public_names_are_there() -> None:
    for name in airflow_wall.__all__:
        assert getattr(airflow_wall, name) is not None


def test_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = (ROOT / "helm" / "Chart.yaml").read_text()
    assert airflow_wall.__version__ == version
    assert re.search(rf'^version: "?{re.escape(version)}"?$', chart, re.MULTILINE)
    assert get_provider_info()["versions"] == [version]


def test_image_has_the_versions_that_are_tested() -> None:
    """And what an extra adds to the lock is in it once, for each extra that brings a kind of cluster."""
    added = ("amazon", "google", "spark")
    tested = pins(ROOT / "constraints.txt")
    locks = {name: pins(ROOT / "image" / f"{name}.txt") for name in ("requirements", *added)}
    for name, lock in locks.items():
        assert [pin for pin in lock.items() if tested.get(pin[0], pin[1]) != pin[1]] == [], name
    for name in added:
        assert not locks[name].keys() & locks["requirements"].keys()
        extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][name]
        assert {re.split(r"[^\w-]", each)[0] for each in extra} <= locks[name].keys()


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


def test_every_step_has_an_operator_a_model_and_a_place_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "steps.md").read_text()
    assert list(STEPS) == list(OPERATORS)
    for name in STEPS:
        assert f"\n## {name}\n" in reference


def test_operators_take_what_steps_give() -> None:
    for name, step in STEPS.items():
        taken = set(inspect.signature(OPERATORS[name].__init__).parameters)
        for base in OPERATORS[name].__mro__[1:]:
            taken |= set(inspect.signature(base.__init__).parameters)
        assert set(step.model_fields) <= taken, name


def test_clusters_of_the_language_are_those_of_the_backends() -> None:
    assert list(CLUSTERS) == list(CLUSTER_BLOCKS)
    for name, model in CLUSTER_BLOCKS.items():
        assert model.model_fields["type"].annotation.__args__ == (name,)  # type: ignore[union-attr]


def test_clusters_honour_what_the_language_lets_a_step_on_them_ask_for() -> None:
    for name, model in CLUSTER_BLOCKS.items():
        cluster = getattr(CLUSTERS[name], model.__name__.removesuffix("Config"))
        assert set(cluster.environments) == set(model.environments), name


def test_what_is_not_the_users_in_a_raw_request_is_the_same_in_the_language_and_the_backends() -> None:
    assert set(emr.MANAGED) == set(emr_request.MANAGED)
    assert set(dataproc.MANAGED) <= set(dataproc_request.MANAGED)


@pytest.mark.parametrize("kind", JOBS)
def test_every_job_is_a_function_of_its_module(kind: str) -> None:
    assert JOBS[kind].__name__ == kind


def test_provider_lists_every_operator_module() -> None:
    (listed,) = get_provider_info()["operators"]
    modules = {operator.__module__ for operator in OPERATORS.values()}
    assert set(listed["python-modules"]) == modules


def test_airflow_accepts_the_provider() -> None:
    import json
    from importlib.resources import files

    import jsonschema

    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_public_names_have_docstrings(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__, module
    for name, value in vars(loaded).items():
        ours = (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module
        assert not ours or name.startswith("_") or inspect.getdoc(value), f"{module}.{name}"


def test_no_module_imports_what_airflow_deprecates() -> None:
    modules = [name for name in MODULES if not name.endswith(("__main__", "skops_file"))]
    program = (
        "import importlib, warnings\n"
        "from airflow.utils.deprecation_tools import DeprecatedImportWarning\n"
        "warnings.simplefilter('error', DeprecatedImportWarning)\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_package_inits_import_nothing_heavy() -> None:
    for path in (ROOT / "airflow_wall").rglob("__init__.py"):
        if path.parent.name != "airflow_wall":
            assert "import" not in re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL), path


SLOW_FILES = [
    name for name, seconds in json.loads((ROOT / "tests" / "durations.json").read_text()).items() if seconds > 20
]


@pytest.mark.parametrize("name", SLOW_FILES)
def test_slow_test_file_says_what_it_waits_for(name: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8"))) or ""
    assert "\nWaits for: " in docstring, f"tests/{name} takes more than 20 s: say in its docstring what it waits for"
