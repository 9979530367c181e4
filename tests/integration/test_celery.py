"""
Pipelines of the bundle on a real Celery worker, and as a pod of KubernetesExecutor runs them.

Waits for: an Airflow of its own with CeleryExecutor, and four runs in it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow_server import CELERY_WORKER, AirflowServer, connected, new_metadata, until
from kubernetes.client.models import V1Pod
from redis import Redis
from sqlalchemy import create_engine, select

from airflow_wall.connections.info import ConnectionInfo

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

PIPELINE = """\
dag_id: scores
tasks:
  - id: start_cluster
    uses: start_cluster
    with: {{cluster: {{type: local}}}}
  - id: work
    uses: airflow.providers.standard.operators.bash.BashOperator
    needs: start_cluster
    with: {{bash_command: "until test -e {go}; do sleep 0.2; done"}}
  - id: score
    uses: airflow.providers.standard.operators.python.PythonOperator
    needs: work
    with: {{python_callable: {{$import: "models.scores:score"}}}}
  - id: stop_cluster
    uses: stop_cluster
    needs: score
"""
IN_A_POD = """\
dag_id: in_a_pod
tasks:
  - id: score
    uses: airflow.providers.standard.operators.python.PythonOperator
    queue: pods
    executor_config: {pod_override: {spec: {containers: [{name: base, resources: {requests: {memory: 1Gi}}}]}}}
    with: {python_callable: {$import: "models.scores:score"}}
"""
"""No worker takes from this queue, so what the executor was given for the task stays there."""

HELPER = "from models.weights import WEIGHT\n\n\ndef score():\n    return {answer!r} + WEIGHT\n"
TASKS = ("start_cluster", "work", "score", "stop_cluster")
STALE = 3
"""Seconds after which Airflow takes a DAG that its file no longer gives for removed."""


@dataclass(frozen=True)
class Platform:
    """
    An Airflow with a Celery worker.

    :param dags: The folder of the bundle.
    :param go: Runs go on working until this file is there.
    :param broker: URL of Redis.
    """

    airflow: AirflowServer
    dags: Path
    go: Path
    broker: str

    def write(self, *, helper: str, word: str = "stop_cluster") -> None:
        text = PIPELINE.format(go=self.go).replace("uses: stop_cluster", f"uses: {word}")
        (self.dags / "scores.yaml").write_text(text, encoding="utf-8")
        (self.dags / "models/scores.py").write_text(HELPER.format(answer=helper), encoding="utf-8")

    def result(self, dag_id: str, run_id: str) -> object:
        run = f"/dags/{dag_id}/dagRuns/{run_id}"
        return self.airflow.get(f"{run}/taskInstances/score/xcomEntries/return_value")["value"]


@pytest.fixture(scope="module")
def platform(redis: str, postgres: ConnectionInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    project = tmp_path_factory.mktemp("celery")
    dags, home = project / "dags", project / "airflow"
    (dags / "models").mkdir(parents=True)
    (dags / "models/weights.py").write_text("WEIGHT = ' by weight'\n", encoding="utf-8")
    (dags / "in_a_pod.yaml").write_text(IN_A_POD, encoding="utf-8")
    metadata = new_metadata(postgres, "celery")
    bundle = {"classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": str(dags)}}
    environment = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
        "AIRFLOW__CELERY__BROKER_URL": redis,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([{"name": "pipelines", **bundle}]),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": str(STALE),
        "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "1",
    }
    with AirflowServer(home, dags, environment, others=CELERY_WORKER) as server:
        found = Platform(server, dags, project / "go", redis)
        found.write(helper="first")
        yield found


@pytest.fixture(autouse=True)
def _consoles_of_a_failure(request: pytest.FixtureRequest, platform: Platform) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        print(platform.airflow.last_lines())  # noqa: T201  # pytest shows it below the failure


def test_the_worker_finds_the_pipeline_and_the_modules_beside_it(platform: Platform) -> None:
    airflow = platform.airflow
    platform.go.touch()
    until(lambda: {"scores", "in_a_pod"} <= airflow.active_dags())
    run_id = airflow.trigger("scores", "2026-01-01T00:00:00Z")
    assert airflow.finished("scores", run_id) == ("success", dict.fromkeys(TASKS, "success"))
    assert platform.result("scores", run_id) == "first by weight"
    taken = (airflow.home / "worker.log").read_text(encoding="utf-8").count("] received ")
    assert taken == len(TASKS), "the worker ran them"


def _is_held(airflow: AirflowServer) -> bool:
    return "No new run starts" in airflow.get("/dags/scores/details")["doc_md"]


def test_a_run_under_way_ends_on_the_worker_as_its_file_last_was(platform: Platform, postgres: ConnectionInfo) -> None:
    airflow = platform.airflow
    platform.go.unlink()
    run_id = airflow.trigger("scores", "2026-01-02T00:00:00Z")
    until(lambda: airflow.states("scores", run_id)["work"] == "running")
    platform.write(helper="second", word="stop_clustre")
    until(lambda: "names `stop_clustre`" in airflow.errors_of("pipelines").get("scores.yaml", ""))
    until(lambda: _is_held(airflow))

    platform.go.touch()
    assert airflow.finished("scores", run_id) == ("success", dict.fromkeys(TASKS, "success"))
    assert platform.result("scores", run_id) == "first by weight"
    with connected(postgres, "celery") as database:
        assert database.execute("select is_stale from dag where dag_id = 'scores'").fetchone() == (False,)

    platform.write(helper="second")
    until(lambda: not _is_held(airflow))
    run_id = airflow.trigger("scores", "2026-01-03T00:00:00Z")
    assert airflow.finished("scores", run_id) == ("success", dict.fromkeys(TASKS, "success"))
    assert platform.result("scores", run_id) == "second by weight"


def test_a_pod_with_a_disk_of_its_own_runs_what_the_executor_was_given(platform: Platform, tmp_path: Path) -> None:
    airflow = platform.airflow
    run_id = airflow.trigger("in_a_pod", "2026-01-01T00:00:00Z")
    queue = Redis.from_url(platform.broker)
    until(lambda: queue.llen("pods") == 1)
    message = json.loads(queue.lindex("pods", 0))
    ((workload,), *_) = json.loads(base64.b64decode(message["body"]))
    assert json.loads(workload)["bundle_info"]["name"] == "pipelines"

    # A pod shares no file with the other components, and has no access to the metadata database.
    others = {name: value for name, value in airflow.environment.items() if "DATABASE" not in name}
    pod = {
        **others,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow.url}/execution/",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
    }
    command = [sys.executable, "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", workload]
    done = subprocess.run(command, env=pod, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert airflow.finished("in_a_pod", run_id) == ("success", {"score": "success"})
    assert str(platform.result("in_a_pod", run_id)).endswith(" by weight")
    assert (tmp_path / "bundles/pipelines/current/models/scores.py").is_file()


def test_a_pod_of_plain_yaml_reaches_the_executor(platform: Platform) -> None:
    until(lambda: "in_a_pod" in platform.airflow.active_dags())
    run_id = platform.airflow.trigger("in_a_pod", "2026-01-02T00:00:00Z")
    until(lambda: platform.airflow.states("in_a_pod", run_id)["score"] == "queued")
    # KubernetesExecutor reads it there; the REST API shows it only as text.
    engine = create_engine(platform.airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as database:
        config = database.execute(
            select(TaskInstance.executor_config).where(TaskInstance.run_id == run_id, TaskInstance.dag_id == "in_a_pod")
        ).scalar_one()
    engine.dispose()
    pod = config["pod_override"]
    assert isinstance(pod, V1Pod)
    assert pod.spec.containers[0].resources.requests == {"memory": "1Gi"}
