"""
A release of the chart, each container as rendered, on real Postgres and Redis: it starts, runs `helm test`, drains.

Waits for: every component of a release to start, and tasks of up to 14 s that workers finish after SIGTERM.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from airflow_server import free_port, new_database, until
from chart_pods import Container, Node, completed, until_up

from airflow_wall.connections.info import ConnectionInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "chart"))
from rendering import Rendered

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]

DRAINS = max(2, int(os.environ.get("DRAINS", "0")) // 10)
"""How many workers are terminated in mid task; `make drain` says 10, and test_chart_drain.py has 100 without Airflow."""

PIPELINE = """\
dag_id: steady
max_active_runs: 64
default_args: {retries: 0}
tasks:
  - id: work
    matrix: {n: [1, 2, 3, 4]}
    tasks:
      - id: sleep
        uses: airflow.providers.standard.operators.bash.BashOperator
        with:
          append_env: true
          env: {RUN: {$t: "{{ run_id }}-${{ matrix.n }}"}}
          bash_command: 'mkdir "/opt/shared/$RUN" && sleep $((RANDOM % 8 + 6)) && touch "/opt/shared/$RUN/done"'
"""
"""Each task makes a folder, which fails if it is there, and a file in it when it ends: begun once, ended once."""


@dataclass
class Release:
    """
    A release of the chart.

    :param node: Where its pods run.
    :param pods: What Helm made of them.
    :param client: Its REST API.
    :param running: Its containers that stay.
    """

    node: Node
    pods: dict[str, dict]
    client: httpx.Client
    running: dict[str, Container] = field(default_factory=dict)
    workers: list[Container] = field(default_factory=list)

    def start(self, name: str, **environment: str) -> Container:
        started = self.node.start(self.pods[name], name, **environment)
        self.running[name] = started
        return started

    def start_worker(self) -> Container:
        port = str(free_port())
        worker = self.node.start(
            self.pods["worker"], f"worker-{len(self.workers)}", AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=port
        )
        self.workers.append(worker)
        return worker

    def states(self, dag_id: str) -> list[str]:
        answer = self.client.get(f"/dags/{dag_id}/dagRuns", params={"limit": 1000}).raise_for_status()
        return [run["state"] for run in answer.json()["dag_runs"]]


@pytest.fixture(scope="module")
def release(postgres: ConnectionInfo, redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    folder = tmp_path_factory.mktemp("chart")
    shared = folder / "shared"
    shared.mkdir()
    port, health = free_port(), free_port()
    metadata = new_database(postgres, "chart")
    kwargs = {"path": "/opt/airflow/dags", "refresh_interval": 5}
    bundle = {"name": "pipelines", "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": kwargs}
    rendered = Rendered(
        "--set", f"apiServer.service.port={port}",
        "--set", "statsd.enabled=false",
        "--set", "workers.celery.concurrency=2",
        "--set-string", "config.dag_processor.refresh_interval=5",
        "--set-json", f"dagProcessor.dagBundleConfigList=[{json.dumps(bundle)}]",
        "--set-string", "config.scheduler.scheduler_idle_sleep_time=0.2",
        "--set-string", "config.workers.min_heartbeat_interval=1",
    )  # fmt: skip
    known = {
        "airflow-wall-metadata": {"connection": metadata},
        "airflow-wall-broker": {"connection": redis},
        "airflow-wall-result-backend": {"connection": redis.replace("/0", "/1")},
        "airflow-wall-fernet": {"fernet-key": urlsafe_b64encode(secrets.token_bytes(32)).decode()},
        "airflow-wall-jwt": {"jwt-secret": secrets.token_hex(32)},
        "airflow-wall-api": {"api-secret-key": secrets.token_hex(32)},
    }
    node = Node(folder, rendered.config(), known, shared)
    for name, text in rendered.one("ConfigMap", "pipelines")["data"].items():
        (node.pipelines / name).write_text(text, encoding="utf-8")
    (node.pipelines / "steady.yaml").write_text(PIPELINE, encoding="utf-8")
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v2", timeout=60, trust_env=False)
    found = Release(node, rendered.pods(), client)
    try:
        completed(found.start("migrate"))
        completed(node.start(found.pods["scheduler"], "wait", "wait-for-migration"))
        password = secrets.token_hex(8)
        (node.users / "passwords.json").write_text(json.dumps({"admin": password}))
        completed(node.start(found.pods["api-server"], "users", "users"))
        found.start("api-server", AIRFLOW__API__PORT=str(port), AIRFLOW__API__HOST="127.0.0.1")
        found.start("scheduler", AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT=str(health))
        found.start("dag-processor")
        started = found.pods["api-server"]["spec"]["containers"][0]["startupProbe"]["httpGet"]["path"]
        until_up(found.running["api-server"], lambda: _answers(f"http://127.0.0.1:{port}{started}"))
        until_up(found.running["scheduler"], lambda: _answers(f"http://127.0.0.1:{health}/health"))
        who = {"username": "admin", "password": password}
        answer = client.post(f"http://127.0.0.1:{port}/auth/token", json=who).raise_for_status()
        token = answer.json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield found
    finally:
        client.close()
        for container in (*found.workers, *found.running.values()):
            container.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_a_worker_has_neither_database_nor_keys_nor_a_writable_root(release: Release) -> None:
    worker = release.start_worker()
    given = worker.run("python", "-c", "import os; print(dict(os.environ))").stdout
    for secret in ("airflow-wall-metadata", "airflow-wall-fernet", "airflow-wall-jwt"):
        (value,) = release.node.secrets[secret].values()
        assert value not in given
    assert worker.run("touch", "/opt/airflow/here").returncode != 0
    assert worker.run("touch", "/opt/airflow/logs/here", "/tmp/here").returncode == 0
    until_up(worker, lambda: "ready" in worker.output())


def test_helm_test_runs_a_pipeline_through_all_of_it(release: Release) -> None:
    pod = release.pods["test"]
    done = completed(release.node.start(pod, "test"), 400)
    assert done.output().splitlines()[-1].endswith(": success")


def test_probes_answer(release: Release) -> None:
    probe = release.pods["dag-processor"]["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
    done = release.running["dag-processor"].run(*probe)
    assert done.returncode == 0, done.stdout + done.stderr
    other = release.running["dag-processor"].run(*probe[:-1], "TriggererJob")  # which does not run
    assert (other.returncode, other.stderr) == (1, "")


def test_no_task_is_lost_when_workers_are_terminated_in_mid_task(release: Release) -> None:
    """Two workers always have tasks; again and again one is terminated, and another takes its place."""
    client, shared = release.client, release.node.shared
    until(lambda: client.get("/dags/steady").is_success, timeout=120)
    client.patch("/dags/steady", json={"is_paused": False}).raise_for_status()
    standing = [worker for worker in release.workers if worker.process.poll() is None]
    standing += [release.start_worker() for _ in range(2 - len(standing))]
    leaving: list[Container] = []
    codes: list[int] = []
    wanted = time.monotonic()
    interrupted = 0
    for _ in range(DRAINS):
        for worker in standing:
            until_up(worker, lambda worker=worker: " ready" in worker.output())
        while sum(state in ("queued", "running") for state in release.states("steady")) < 3:
            client.post("/dags/steady/dagRuns", json={"logical_date": None}).raise_for_status()
        first = standing.pop(0)
        until_up(first, lambda first=first: _busy(first), seconds=180)
        interrupted += _busy(first)
        first.terminate()
        leaving.append(first)
        standing.append(release.start_worker())
        if len(leaving) > 2:
            codes.append(leaving.pop(0).wait(180))
    codes += [worker.wait(180) for worker in leaving]
    until(lambda: not {"queued", "running"} & set(release.states("steady")), timeout=300)

    tasks = sorted(shared.iterdir())
    lost = [task.name for task in tasks if not (task / "done").exists()]
    states = release.states("steady")
    print(  # noqa: T201  # `make drain` shows it
        f"{DRAINS} workers terminated with {interrupted} tasks in mid task, of {len(tasks)} tasks in {len(states)} runs: "
        f"{len(lost)} lost, {states.count('failed')} runs failed; exit codes {sorted(set(codes))}; "
        f"{time.monotonic() - wanted:.0f} s"
    )
    assert interrupted >= DRAINS
    assert (lost, set(states), set(codes)) == ([], {"success"}, {0})
    assert len(tasks) == 4 * len(states)


def _busy(worker: Container) -> int:
    """How many tasks a worker has begun and not ended."""
    text = worker.output()
    return text.count("] received") - text.count("] succeeded in") - text.count("] raised")
