"""Under `restricted` a task reads only the connections that are listed, also those that a document in the lake names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_wall import state
from airflow_wall.dag.build import build_dag
from airflow_wall.errors import ConnectionFault
from airflow_wall.loader.load import load_specs
from airflow_wall.operators.base import StepOperator
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

PIPELINE = """\
dag_id: sender
tasks:
  - {id: send, uses: start_sender, with: {release: prices}}
"""


def task(folder: Path, settings: Settings) -> Any:
    """The task of a pipeline that is built under these settings."""
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE + "  - {id: end, uses: stop_sender, needs: send}\n")
    (plan,) = plan_all(load_specs(path, settings), settings)
    return build_dag(plan).task_dict["send"]


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("platform", "secret"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "http", "host": name}))


def test_only_listed_connections_are_read_under_restricted(tmp_path: Path) -> None:
    dag = task(tmp_path, Settings(policy="restricted", allowed_connections=("plat*",)))
    assert dag.connection("platform").host == "platform"
    with pytest.raises(ConnectionFault) as error:
        dag.connection("secret")
    assert str(error.value) == (
        "connection `secret` may not be read by this task\n\n"
        "hint: add it to the setting `[wall] allowed_connections`; if the pipeline does not name it, a document in "
        "the lake does: find out who wrote it"
    )


def test_every_connection_is_read_under_open_and_in_python(tmp_path: Path) -> None:
    """The control: without the policy nothing stands between a task and a connection."""
    assert task(tmp_path, Settings(allowed_connections=("platform",))).connection("secret").host == "secret"
    with DAG("python", schedule=None):
        assert StepOperator(task_id="t").connection("secret").host == "secret"


def test_forged_release_reaches_no_connection_that_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening the next release of a name resumes one that is `committing`."""
    from airflow_wall.job import Job, Run, Slice
    from airflow_wall.jobs.base import run_job

    parts = {"a": {"to": "webhook://secret", "attempt": 1, "rows": 1, "digest": "0"}}
    order = "2024-01-01T00:00:00+00:00"
    forged = {"release": "r1", "order": order, "fence": 1, "status": "committing", "before": {}, "parts": parts}
    state.write(tmp_path / "lake" / "_wall" / "releases" / "prices" / "r1.json", forged)
    run = Run("p", "r2", "send", 1, Slice("s2", order), tmp_path / "lake", tmp_path, tmp_path)
    asked: list[str] = []
    dag = task(tmp_path, Settings(policy="restricted", allowed_connections=("platform",)))

    def ask(conn_id: str) -> Any:
        asked.append(conn_id)
        return dag.connection(conn_id)

    with pytest.raises(ConnectionFault, match="connection `secret` may not be read"):
        run_job(Job("start_sender", {"release": "prices"}, run), ask)
    assert asked == ["secret"]
