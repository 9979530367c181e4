"""What the head of a pipeline promises, in a real Airflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow_server import AirflowServer, waiting

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

LOADER = "from airflow_wall import load_dags\n\nglobals().update(load_dags(__file__))  # airflow dag\n"

PARAMS = """\
dag_id: with_params
params:
  region: {type: string, enum: [eu, us], default: eu}
  days: {type: array, items: {type: integer}, default: [1]}
tasks:
  - id: a
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    project = tmp_path_factory.mktemp("head")
    (project / "dags").mkdir()
    (project / "dags/pipelines.py").write_text(LOADER)
    (project / "dags/params.yaml").write_text(PARAMS)
    with AirflowServer(project / "airflow", project / "dags", {}) as server:
        yield server


def wait_for_dag(airflow: AirflowServer, dag_id: str) -> None:
    for _ in waiting(60):
        if dag_id in airflow.active_dags():
            return
    pytest.fail(f"no DAG `{dag_id}`; import errors: {airflow.import_errors()}")


@pytest.mark.parametrize(
    ("conf", "field", "value"),
    [({"region": "uk"}, "region", "uk"), ({"days": [1, "two"]}, "days", "two")],
    ids=["enum", "inside a list"],
)
def test_invalid_payload(airflow: AirflowServer, conf: dict[str, object], field: str, value: str) -> None:
    wait_for_dag(airflow, "with_params")
    answer = airflow.client.post("/dags/with_params/dagRuns", json={"logical_date": None, "conf": conf})
    assert 400 <= answer.status_code < 500
    assert f"param {field}: " in answer.text
    assert value in answer.text
    assert airflow.get("/dags/with_params/dagRuns")["total_entries"] == 0
