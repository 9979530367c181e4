"""
Pipelines in a real Airflow, looked at through its REST API alone.

Waits for: an Airflow of its own with no environment in force, and a run of the article's pipeline in it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_server import AirflowServer, waiting
from article import ARTICLE

from airflow_wall.storage.backends import open_tables

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
GUIDE = REPOSITORY / "docs/guides/operators-in-python.md"
PASSWORD = "correct-horse-battery-staple"
FIRST, SECOND = "2013-01-08T05:00:00Z", "2013-01-09T05:00:00Z"

BROKEN = """\
dag_id: broken
start_date: 2013-01-01
tasks:
  - id: load
    uses: ingestt
    with: {source: landing, target: bronze/broken}
  - id: after
    retries: many
"""
TWIN = "dag_id: twin\nstart_date: 2013-01-01\ntasks:\n  - id: nothing\n"

CLEAN_UP = {("start_cluster", "stop_cluster"), ("start_sender", "stop_sender")}
"""Edges that Airflow adds, from each setup to its teardown."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's pipeline with a week of data, a DAG in Python, and three YAML files with faults."""
    project = tmp_path_factory.mktemp("in_airflow")
    shutil.copytree(REPOSITORY / "dags", project / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "dags/handwritten.py", project / "dags")
    (project / "dags/broken.yaml").write_text(BROKEN, encoding="utf-8")
    (project / "dags/twin_1.yaml").write_text(TWIN, encoding="utf-8")
    (project / "dags/twin_2.yaml").write_text(TWIN, encoding="utf-8")
    script, landing = REPOSITORY / "examples/nycflights13/land.py", project / "lake/landing"
    subprocess.run([sys.executable, script, "--until", "2013-01-08", landing], check=True)
    return project


@pytest.fixture(scope="module")
def airflow(project: Path) -> Iterator[AirflowServer]:
    connection = {"conn_type": "sqlite", "host": str(project / "lake/platform.db"), "password": PASSWORD}
    environment = {"AIRFLOW_CONN_PLATFORM": json.dumps(connection)}
    with AirflowServer(project / "airflow", project / "dags", environment) as server:
        yield server


@pytest.fixture(autouse=True)
def _consoles_of_a_failure(request: pytest.FixtureRequest, airflow: AirflowServer) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        print(airflow.last_lines())  # noqa: T201  # pytest shows it below the failure


@pytest.fixture(scope="module")
def first_run(airflow: AirflowServer) -> str:
    """Run id of the first run of `platform_scores`, which went green."""
    _wait_for_dag(airflow, "platform_scores")
    run_id = airflow.trigger("platform_scores", FIRST)
    _assert_all_green(airflow, "platform_scores", run_id)
    return run_id


def _assert_all_green(airflow: AirflowServer, dag_id: str, run_id: str) -> None:
    state, tasks = airflow.finished(dag_id, run_id)
    ended_badly = [task_id for task_id, each in tasks.items() if each in ("failed", "up_for_retry", "running")]
    logs = "\n".join(f"--- {task_id}\n{airflow.log(dag_id, run_id, task_id)}" for task_id in ended_badly)
    assert (state, set(tasks.values())) == ("success", {"success"}), f"{tasks}\n{logs}"


def _wait_for_dag(airflow: AirflowServer, dag_id: str) -> None:
    for _ in waiting(180):
        if dag_id in airflow.active_dags():
            return
    pytest.fail(f"no DAG `{dag_id}`; import errors: {airflow.import_errors()}")


def _wait_for_import_errors(airflow: AirflowServer, files: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in waiting(180):
        found = airflow.import_errors()
        if set(found) == files:
            return found
    pytest.fail(f"expected import errors of {sorted(files)}, got {found}")


def test_the_graph_is_that_of_the_article(airflow: AirflowServer) -> None:
    _wait_for_dag(airflow, "platform_scores")
    tasks, edges = airflow.edges("platform_scores")
    assert len(ARTICLE) == 25
    assert tasks == {task for edge in ARTICLE for task in edge}
    assert len(tasks) == 21
    assert edges == ARTICLE | CLEAN_UP


def test_each_file_with_faults_has_an_import_error_of_its_own_and_the_other_dags_stay(
    airflow: AirflowServer, project: Path
) -> None:
    found = _wait_for_import_errors(airflow, {"broken.yaml", "twin_1.yaml", "twin_2.yaml"})
    path = project / "dags/broken.yaml"
    assert found["broken.yaml"].endswith(
        f"""\
SerializationError: `broken.yaml` has faults

error: {path}:5:11: `tasks[load].uses` names `ingestt`, which is not a step
  5 |     uses: ingestt
    |           ^^^^^^^

hint: did you mean `ingest`? Any other operator is named by its dotted path

error: {path}:8:14: `tasks[after].retries` must be an integer, got `many`
  8 |     retries: many
    |              ^^^^

hint: write a whole number, e.g., `retries: 3`
"""
    )
    for one, other in (("twin_1", "twin_2"), ("twin_2", "twin_1")):
        assert f"which is also that of `{project}/dags/{other}.yaml:1`" in found[f"{one}.yaml"]
    assert airflow.active_dags() == {"platform_scores", "handwritten"}


def test_every_row_that_was_scored_is_published(airflow: AirflowServer, first_run: str, project: Path) -> None:
    scored = open_tables(project / "lake").read("gold/scores", columns=["domain", "hour", "score"]).to_pylist()
    with sqlite3.connect(project / "lake/platform.db") as database:
        published = database.execute("select domain, hour, score from scores").fetchall()
    assert len(scored) > 300
    assert sorted((domain, hour[:19].replace("T", " "), score) for domain, hour, score in published) == sorted(
        (row["domain"], str(row["hour"]), row["score"]) for row in scored
    )


def test_the_log_of_a_task_tells_what_its_job_did_on_the_cluster(airflow: AirflowServer, first_run: str) -> None:
    log = airflow.log("platform_scores", first_run, "etl_domain_2.ingest")
    assert "table bronze/domain_2: slice 20130108T050000Z has " in log
    assert "rows of 7 sources" in log


def test_no_log_and_no_result_holds_a_secret(airflow: AirflowServer, first_run: str) -> None:
    for task_id in sorted({task for edge in ARTICLE for task in edge}):
        log = airflow.log("platform_scores", first_run, task_id)
        instance = f"/dags/platform_scores/dagRuns/{first_run}/taskInstances/{task_id}"
        result = airflow.get(f"{instance}/xcomEntries/return_value")
        assert log, task_id
        assert PASSWORD not in log, task_id
        assert PASSWORD not in json.dumps(result), task_id


def test_a_run_without_new_data_is_green_and_skips_everything_after_the_check(
    airflow: AirflowServer, first_run: str
) -> None:
    state, tasks = airflow.finished("platform_scores", airflow.trigger("platform_scores", SECOND))
    assert state == "success", tasks
    assert tasks.pop("get_credentials") == "success"
    assert len(tasks) == 20
    assert set(tasks.values()) == {"skipped"}


def test_operators_work_in_a_dag_written_in_python(airflow: AirflowServer, project: Path) -> None:
    _wait_for_dag(airflow, "handwritten")
    _assert_all_green(airflow, "handwritten", airflow.trigger("handwritten", FIRST))
    hours = open_tables(project / "lake").read("by_hand/hours").num_rows
    with sqlite3.connect(project / "lake/platform.db") as database:
        published, flights = database.execute("select count(*), sum(flights) from hours").fetchone()
    landed = (project / "lake/landing/domain_1").glob("*.csv")
    assert published == hours
    assert flights == sum(len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in landed)


def test_the_guide_shows_that_dag() -> None:
    source = (HERE / "dags/handwritten.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```\n" in GUIDE.read_text(encoding="utf-8")


def test_fixed_file_gives_its_dag_without_a_restart(airflow: AirflowServer, project: Path) -> None:
    (project / "dags/twin_2.yaml").unlink()
    (project / "dags/broken.yaml").write_text(TWIN.replace("twin", "mended"), encoding="utf-8")
    _wait_for_dag(airflow, "mended")
    _wait_for_dag(airflow, "twin")
    _wait_for_import_errors(airflow, set())
