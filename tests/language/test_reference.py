"""
The reference says what the models say, with an example of every key.

Waits for: the imports and models of the whole language, to write every page.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import airflow
import check_names
import pytest
from airflow.serialization.serialized_objects import DagSerialization
from packaging.version import Version
from pydantic import BaseModel

from airflow_wall.checks.backends import CHECKS
from airflow_wall.checks.base import Check
from airflow_wall.errors import SpecError
from airflow_wall.fronts.folder import load_dags
from airflow_wall.language.base import SpecModel
from airflow_wall.planner.check import check_files
from airflow_wall.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
VERSION = Version(airflow.__version__).release[:2]
NEEDS = {
    DOCS / "examples" / name: version
    for name, version in {
        "airflow_3_3.yaml": (3, 3),
        "airflow_3_4.yaml": (3, 4),
        "notifications.yaml": (3, 3),  # `name` and a variable of a deadline
        "schedules.yaml": (3, 3),  # `rerun_with_latest_version`
    }.items()
}
"""Examples that need a newer Airflow than the lowest."""
EXAMPLES = [path for path in sorted((DOCS / "examples").glob("*.yaml")) if NEEDS.get(path, VERSION) <= VERSION]

WRITTEN_WITH = (3, 3)
"""The Airflow whose defaults the pages tell."""


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(VERSION != WRITTEN_WITH, reason="other defaults of Airflow's own")
def test_reference_is_what_the_models_say(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_key_has_a_type_a_default_a_meaning_and_an_example(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        bare = [line for line in text.splitlines() if line.startswith("| ") and "|  |" in line]
        assert not bare, f"write an example into docs/examples for these keys of {path.name}"


def test_names_in_other_tools_are_those_of_our_checks() -> None:
    assert set(check_names.NAMES) <= {*CHECKS, "severity: warn"}
    assert {len(names) for names in check_names.NAMES.values()} == {len(check_names.TOOLS)}


def test_every_model_of_the_language_is_on_a_page(generate: ModuleType) -> None:
    """A key may be deep: of what `notify.failure[0].slack` holds, too."""
    text = "\n".join(generate.pages().values())
    # The model of a mapped step, created while a pipeline is read, has the module of the step's own model.
    models = [model for model in everything_below(SpecModel, Check) if _is_written(model)]
    assert len(models) > 40
    missing = [
        f"{model.__name__}.{info.alias or key}"
        for model in models
        for key, info in model.model_fields.items()
        if f"| `{info.alias or key}` | {generate.kind(model, info.alias or key)} | " not in text
    ]
    assert missing == []


def _is_written(model: type[BaseModel]) -> bool:
    inside = sys.modules[model.__module__]
    return model.__module__.startswith("airflow_wall.") and getattr(inside, model.__name__, None) is model


def everything_below(*kinds: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for kind in kinds for each in kind.__subclasses__() for found in (each, *everything_below(each))]


@pytest.mark.filterwarnings("ignore:The airflow.security.permissions module is deprecated")  # `access_control`
@pytest.mark.filterwarnings("ignore:DAG.access_control is deprecated")  # by Airflow 3.4, which takes it all the same
def test_examples_are_built() -> None:
    built = [load_dags(path, Settings()) for path in EXAMPLES]
    for dag in (dag for dags in built for dag in dags.values()):
        assert DagSerialization.to_dict(dag)
    assert len(built) >= 5


def test_examples_have_no_table_in_common() -> None:
    assert [result.faults for result in check_files(EXAMPLES, Settings()) if result.faults] == []


@pytest.mark.parametrize("path", [path for path, version in NEEDS.items() if version > VERSION])
def test_an_example_for_a_newer_airflow_says_what_it_needs(path: Path) -> None:
    with pytest.raises(SpecError, match=r"needs Airflow {}\.{}; this is".format(*NEEDS[path])):
        load_dags(path, Settings())
