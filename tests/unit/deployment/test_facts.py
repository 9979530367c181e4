from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_wall.deployment.facts import _configuration, collect, digest, fingerprint
from airflow_wall.errors import DeploymentError


def test_a_fingerprint_tells_whether_two_secrets_are_equal_and_not_the_secret() -> None:
    assert fingerprint("jwt_secret", "one") == fingerprint("jwt_secret", "one")
    assert fingerprint("jwt_secret", "one") != fingerprint("jwt_secret", "two")
    # Two that share a value do not show that they do.
    assert fingerprint("jwt_secret", "one") != fingerprint("api_secret_key", "one")
    assert "one" not in fingerprint("jwt_secret", "one")


def test_folders_with_the_same_pipelines_have_the_same_digest(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name / "sql").mkdir(parents=True)
        (tmp_path / name / "scores.yaml").write_text("dag_id: scores\n")
        (tmp_path / name / "sql" / "clean.sql").write_text("select 1\n")
    (tmp_path / "there" / ".hidden").write_text("of an editor")
    assert digest(tmp_path / "here") == digest(tmp_path / "there")
    (tmp_path / "there" / "sql" / "clean.sql").write_text("select 2\n")
    assert digest(tmp_path / "here") != digest(tmp_path / "there")


def test_only_what_somebody_set_is_a_fact_by_whatever_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AIRFLOW__"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL_CMD", "printf redis://queue:6379/0")
    settings = _configuration()
    assert settings["core.executor"] == "CeleryExecutor"
    assert settings["celery.broker_url"] == "redis://queue:6379/0"
    assert "celery.result_backend" not in settings


def test_outside_a_component_the_message_names_where_to_run() -> None:
    with pytest.raises(DeploymentError, match=r"^process 1 must be a component of Airflow, got `") as raised:
        collect("here", None)
    assert raised.value.hint == "run `airflow-wall doctor --facts` in the containers of Airflow's components"
