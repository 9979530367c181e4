"""The reference says what the models say, with an example of every key."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airflow_wall.fronts.folder import load_dags
from airflow_wall.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_what_the_models_say(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_key_has_an_example(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        bare = [line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")]
        assert not bare, f"write an example into docs/examples for these keys of {path.name}"


@pytest.mark.filterwarnings("ignore:The airflow.security.permissions module is deprecated")  # `access_control`
def test_examples_are_built() -> None:
    built = load_dags(DOCS / "examples", Settings())
    for dag in built.values():
        assert DagSerialization.to_dict(dag)
    assert len(built) >= 5
