"""The embedded SQL engine."""

from __future__ import annotations

import pytest

from airflow_wall.storage.duck import connect


def test_a_cluster_bounds_threads_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_WALL_THREADS", "1")
    monkeypatch.setenv("AIRFLOW_WALL_MEMORY", "64MB")
    found = connect().execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    assert found == (1, "61.0 MiB")
