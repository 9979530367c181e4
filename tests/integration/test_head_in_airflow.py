"""
The keys of a pipeline's head have their effects in a real Airflow.

Waits for: an Airflow of its own with an environment in force, and five passes of its DAG processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_server import AirflowServer, waiting

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOADER = "from airflow_wall import load_dags\n\nglobals().update(load_dags(__file__))  # airflow dag\n"
SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"

PIPELINES = {
    "params": """\
dag_id: with_params
params:
  region: {type: string, enum: [eu, us], default: eu}
  days: {type: array, items: {type: integer}, default: [1]}
tasks:
  - id: a
""",
    "environment": """\
dag_id: with_environment
include: shared/team.yaml
storage: ./lake
environments:
  production: {storage: ./other, vars: {rows: 1000}}
tasks:
  - id: a
    uses: airflow.providers.standard.operators.bash.BashOperator
    with: {bash_command: "echo ${{ vars.rows }} ${{ vars.team }}"}
""",
    "unlisted": """\
dag_id: unlisted
environments: {laptop: {storage: ./lake}}
tasks:
  - id: a
""",
    "assets": """\
dag_id: fetch
tasks:
  - id: prices
    outlets: [prices]
  - id: customers
    outlets: [{name: customers, uri: "file:///lake/customers"}]
---
dag_id: when_all
schedule: {assets: [prices, {name: customers, uri: "file:///lake/customers"}]}
tasks:
  - id: a
---
dag_id: when_any
schedule: {assets: {or: [prices, never]}}
tasks:
  - id: a
---
dag_id: when_both
schedule: {assets: {and: [prices, never]}}
tasks:
  - id: a
""",
    "everything": f"""\
dag_id: everything
schedule: {{assets: {{or: [raw, {{and: [prices, {{alias: nightly}}]}}]}}, cron: "0 3 1 1 *"}}
start_date: 2026-01-01
doc_md: notes.md
params: {{region: {{type: string, default: eu}}}}
on_failure_callback: {{uses: {SMTP}, with: {{to: a@example.org}}}}
notify:
  failure: {{email: {{to: a@example.org}}}}
  retry: {{email: {{to: a@example.org}}}}
  deadline: {{email: {{to: a@example.org}}}}
deadline:
  - {{interval: 2h}}
  - {{reference: {{average_runtime: {{max_runs: 3}}}}, interval: 1h}}
tags: [b, a, c]
tasks:
  - id: a
""",
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    project = tmp_path_factory.mktemp("head")
    (project / "dags/shared").mkdir(parents=True)
    (project / "dags/pipelines.py").write_text(LOADER)
    (project / "dags/notes.md").write_text("# Notes\n")
    (project / "dags/shared/team.yaml").write_text("vars: {team: analytics, rows: 10}\n")
    for name, text in PIPELINES.items():
        (project / f"dags/{name}.yaml").write_text(text)
    environment = {"AIRFLOW__WALL__ENVIRONMENT": "production"}
    with AirflowServer(project / "airflow", project / "dags", environment) as server:
        yield server


def wait_for_dag(airflow: AirflowServer, dag_id: str) -> None:
    for _ in waiting(180):
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


def test_a_run_begins_when_its_assets_are_new(airflow: AirflowServer) -> None:
    scheduled = ("when_all", "when_any", "when_both")
    for dag_id in (*scheduled, "fetch"):
        wait_for_dag(airflow, dag_id)
    for dag_id in scheduled:
        airflow.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    state, _ = airflow.finished("fetch", airflow.trigger("fetch", "2026-01-01T00:00:00Z"))
    assert state == "success"
    for _ in waiting(180):
        if all(airflow.get(f"/dags/{dag_id}/dagRuns")["total_entries"] for dag_id in ("when_all", "when_any")):
            break
    begun = {
        dag_id: [run["run_type"] for run in airflow.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]] for dag_id in scheduled
    }
    assert begun == {"when_all": ["asset_triggered"], "when_any": ["asset_triggered"], "when_both": []}


def test_the_page_and_the_log_of_a_task_say_where_values_come_from(airflow: AirflowServer) -> None:
    wait_for_dag(airflow, "with_environment")
    page = airflow.get("/dags/with_environment/details")["doc_md"]
    assert "environment `production`" in page
    assert "- `vars.rows` from `environment.yaml:5` (environment `production`)\n" in page
    assert "- `vars.team` from `shared/team.yaml:1`\n" in page
    run_id = airflow.trigger("with_environment", "2026-01-01T00:00:00Z")
    state, _ = airflow.finished("with_environment", run_id)
    log = airflow.log("with_environment", run_id, "a")
    assert state == "success"
    assert "1000 analytics" in log
    assert "pipeline `with_environment`: environment `production`; `storage` from `environment.yaml:5`" in log


def test_an_environment_that_a_file_does_not_list_is_its_import_error(airflow: AirflowServer) -> None:
    wait_for_dag(airflow, "with_params")
    for _ in waiting(180):
        if "unlisted.yaml" in airflow.import_errors():
            break
    assert "does not list `production`, the environment in force" in airflow.import_errors()["unlisted.yaml"]
    assert "unlisted" not in airflow.active_dags()


@pytest.mark.parametrize("dag_id", ["everything", "with_environment", "with_params"])
def test_parsing_again_and_again_makes_no_new_version(airflow: AirflowServer, dag_id: str) -> None:
    wait_for_dag(airflow, dag_id)
    first = airflow.get(f"/dags/{dag_id}/details")["last_parsed_time"]
    parsed = {first}
    for _ in waiting(180):
        parsed.add(airflow.get(f"/dags/{dag_id}/details")["last_parsed_time"])
        if len(parsed) > 4:
            break
        time.sleep(0.5)
    assert len(parsed) > 4
    assert airflow.get(f"/dags/{dag_id}/dagVersions")["total_entries"] == 1


ON_A_LAPTOP = f"""\
dag_id: laptop
notify:
  failure: {{email: {{to: a@example.org}}}}
  success: {{email: {{to: a@example.org}}}}
  deadline: {{email: {{to: a@example.org}}}}
deadline: {{interval: 1h}}
on_success_callback: {{uses: {SMTP}, with: {{to: a@example.org}}}}
tasks:
  - id: a
    uses: airflow.providers.standard.operators.bash.BashOperator
    with: {{bash_command: "exit 0"}}
"""


@pytest.mark.parametrize("code", [0, 1], ids=["success", "failure"])
def test_a_run_on_a_laptop_tells_nobody(tmp_path: Path, code: int) -> None:
    (tmp_path / "laptop.yaml").write_text(ON_A_LAPTOP.replace("exit 0", f"exit {code}"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [Path(sys.executable).with_name("airflow-wall"), "run", "laptop.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Airflow failed" not in ran.stdout + ran.stderr
    assert "SMTP" not in (tmp_path / ".airflow/logs/console.log").read_text()
