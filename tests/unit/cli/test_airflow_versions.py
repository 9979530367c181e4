"""`airflow-wall run` works around the differences between the Airflow versions that it supports."""

from __future__ import annotations

import importlib

import pytest
from airflow.sdk.api.datamodels._generated import API_VERSION
from airflow.sdk.execution_time import supervisor

from airflow_wall.cli import airflow_versions


def test_a_release_that_names_the_supervisor_otherwise_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    def supervise(**kwargs: object) -> int:
        return 0

    monkeypatch.delattr(supervisor, "supervise_task", raising=False)
    monkeypatch.setattr(supervisor, "supervise", supervise)
    assert importlib.reload(airflow_versions).supervise_task is supervise
    monkeypatch.undo()
    assert importlib.reload(airflow_versions).supervise_task is not supervise


@pytest.mark.filterwarnings("ignore")  # of what Airflow imports
def test_the_first_request_finds_the_execution_api_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "x" * 32)  # as `Home.environment` does; Airflow 3.2 needs it
    with airflow_versions.execution_client() as client:
        assert client.get("health").json() == {"status": "healthy"}
        app = airflow_versions.execution_api().app
        assert app.state.svcs_registry is not None
        assert list(app.router.versioned_routers) == [API_VERSION]  # older versions would take seconds to build


@pytest.mark.filterwarnings("ignore")
def test_a_task_sdk_of_another_release_finds_its_version_of_the_execution_api(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.execution_api import versions

    bundle = versions.bundle
    monkeypatch.setattr(airflow_versions, "API_VERSION", "2025-04-11")
    airflow_versions.execution_api.__wrapped__()  # without the cache
    assert versions.bundle is bundle
