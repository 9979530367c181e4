"""The tables of operators and providers agree with the installed Airflow, and each row has its hint."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from airflow_wall.language.operators import BY_NAME, MOVED, PROVIDERS, RENAMED, WORDS, package_of, present_path
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

INSTALLED = ("standard", "common.sql", "http", "smtp", "slack")


@pytest.mark.filterwarnings("ignore")  # what a provider imports
@pytest.mark.parametrize("path", sorted(BY_NAME.values()))
def test_path_is_that_of_the_installed_provider(path: str) -> None:
    module, _, name = path.rpartition(".")
    provider = module.removeprefix("airflow.providers.")
    if not provider.startswith(INSTALLED):
        assert package_of(module) is not None
        return
    assert hasattr(importlib.import_module(module), name)


def hints(folder: Path, uses: str) -> tuple[list[str | None], list[str | None]]:
    path = folder / "p.yaml"
    path.write_text(f"dag_id: p\ntasks: [{{id: a, uses: {uses}}}]\n")
    (spec,) = load_specs(path, Settings())
    return [fault.hint for fault in spec.faults], [fault.hint for fault in spec.warnings]


@pytest.mark.parametrize("word", [*WORDS, *RENAMED, "BashOperator"])
def test_bare_name_is_answered_with_its_path(word: str, tmp_path: Path) -> None:
    assert word not in STEPS
    assert hints(tmp_path, word) == ([f"did you mean `{WORDS.get(word) or present_path(word)}`?"], [])


@pytest.mark.parametrize("uses", ["airflow.operators.bash.BashOperator", "airflow.operators.dummy.DummyOperator"])
def test_path_of_airflow_2_is_a_warning(uses: str, tmp_path: Path) -> None:
    assert uses.startswith(MOVED)
    assert hints(tmp_path, uses) == ([], [f"write `{present_path(uses)}`"])


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("airflow.providers.cncf.kubernetes.operators.pod", "apache-airflow-providers-cncf-kubernetes"),
        ("airflow.providers.apache.spark.operators", "apache-airflow-providers-apache-spark"),
        ("airflow.providers.amazon.aws.operators.s3", "apache-airflow-providers-amazon"),
        ("airflow.providers.microsoft.azure", "apache-airflow-providers-microsoft-azure"),
        ("airflow.providers.cncf", None),
        ("airflow.providers.slak", None),
        ("cosmos.operators", "astronomer-cosmos"),
        ("airflow.timetables", None),
    ],
)
def test_package_of_a_module(module: str, package: str | None) -> None:
    assert package_of(module) == package


def test_list_of_providers_holds_the_installed_ones() -> None:
    from importlib.metadata import distributions

    names = [each.name for each in distributions() if each.name.startswith("apache-airflow-providers-")]
    assert names
    listed = {f"apache-airflow-providers-{name.replace('.', '-')}" for name in PROVIDERS}
    assert set(names) - listed == set()
