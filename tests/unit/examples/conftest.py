from __future__ import annotations

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "examples/nycflights13/land.py"


@pytest.fixture(scope="session")
def landing() -> ModuleType:
    """The script as a module: it lies outside the package, as it does for whoever runs it."""
    spec = importlib.util.spec_from_file_location("nycflights13_land", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def half_year(landing: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 543 files that `make run` lands first. Tests only read them."""
    folder = tmp_path_factory.mktemp("landing")
    landing.land(folder, date(2013, 7, 1))
    return folder
