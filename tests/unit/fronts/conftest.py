"""Fixtures of all fronts."""

from __future__ import annotations

import pytest
from airflow.sdk.execution_time import task_runner


@pytest.fixture
def dag_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process look like the one that parses files for the DAG processor."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
