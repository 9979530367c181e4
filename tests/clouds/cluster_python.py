"""The Python of the machines of a cluster: it has what jobs need, and neither Airflow nor airflow-wall."""

from __future__ import annotations

import pytest

from airflow_wall.environments.base import EnvironmentCache
from airflow_wall.environments.venv import Venvs
from airflow_wall.errors import Interrupted

try:
    PYTHON = str(Venvs(EnvironmentCache.of(None).cache / "venvs").provide(["six"], None, print))
except Interrupted as error:
    pytest.skip(f"the package index does not answer: {error}", allow_module_level=True)
