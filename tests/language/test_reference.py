"""The reference says what the models say, with an example of every key."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import airflow
import pytest
from airflow.serialization.serialized_objects import DagSerialization
from packaging.version import Version
from pydantic import BaseModel

from airflow_wall.checks.base import Check
from airflow_wall.errors import SpecError
from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings
from airflow_wall.spec.base import SpecModel

DOCS = Path(__file__).parents[2] / "docs"
NEWER = DOCS / "examples" / "airflow_3_4.yaml"
IS_OLDER = Version(airflow.__version__).release < (3, 4)
EXAMPLES = [path for path in sorted((DOCS / "examples").glob("*.yaml")) if not (path == NEWER and IS_OLDER)]


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


@pytest.mark.skipif(Version(airflow.__version__).release[:2] != WRITTEN_WITH, reason="other defaults of Airflow's own")
def test_reference_is_what_the_models_say(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_key_has_a_type_a_default_a_meaning_and_an_example(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        bare = [line for line in text.splitlines() if line.startswith("| ") and "|  |" in line]
        assert not bare, f"write an example into docs/examples for these keys of {path.name}"


def test_every_model_of_the_language_is_on_a_page(generate: ModuleType) -> None:
    """A key may be deep: of what `notify.failure[0].slack` holds, too."""
    text = "\n".join(generate.pages().values())
    # What is made while a pipeline is read, of a step that is mapped, has the module of what it is made of.
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
def test_examples_are_built() -> None:
    built = [load_dags(path, Settings()) for path in EXAMPLES]
    for dag in (dag for dags in built for dag in dags.values()):
        assert DagSerialization.to_dict(dag)
    assert len(built) >= 5


@pytest.mark.skipif(not IS_OLDER, reason="this Airflow has what the example shows")
def test_the_example_for_newer_airflows_says_what_it_needs() -> None:
    with pytest.raises(SpecError, match=r"needs Airflow 3\.4; this is"):
        load_dags(NEWER, Settings())
