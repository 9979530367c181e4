"""The services of docker-compose.yaml, run for real in a folder of their own, and Airflow's REST API."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

REPOSITORY = Path(__file__).parents[2]
PROJECT = "airflow-wall-e2e"
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-heavy")
T = TypeVar("T")


class Stack:
    """
    One compose project.

    :param folder: Where docker-compose.yaml, dags/ and the secrets lie; a copy of what a user checks out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(REPOSITORY / "docker-compose.yaml", folder)
        shutil.copytree(REPOSITORY / "compose", folder / "compose")
        shutil.copytree(REPOSITORY / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "tests/e2e/compose.override.yaml", folder / "docker-compose.override.yaml")
        self.port = _free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "WALL_PORT": str(self.port),
            "WALL_WORKER_CONCURRENCY": "3",
            "WALL_METRICS": "true",
            "PROMETHEUS_PORT": str(_free_port()),
            "SPARK_PORT": str(_free_port()),
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v2", timeout=120, trust_env=False)

    # --- the services

    def run(self, *command: str, data: bytes | None = None, check: bool = True) -> str:
        """Run a command in the project's folder and return what it printed."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, input=data, capture_output=True)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} exited with {done.returncode}\n{done.stderr.decode()[-5000:]}")
        return done.stdout.decode() + ("" if check else done.stderr.decode())

    def compose(self, *command: str, data: bytes | None = None, check: bool = True) -> str:
        return self.run("docker", "compose", *command, data=data, check=check)

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", container))
        return found[0]

    def exec(self, service: str, *command: str, data: bytes | None = None, check: bool = True) -> str:
        return self.compose("exec", "--no-TTY", service, *command, data=data, check=check)

    def sql(self, database: str, query: str) -> str:
        """Return the output of psql for a query to `postgres` or `warehouse`."""
        user = {"postgres": "airflow", "warehouse": "platform"}[database]
        return self.exec(database, "psql", "-U", user, "-d", user, "-tAc", query).strip()

    def up(self) -> None:
        self.compose("up", "--detach", "--wait", "--wait-timeout", "600", *AIRFLOW, "warehouse")
        self.login()

    def login(self) -> None:
        passwords = json.loads(self.exec("api-server", "cat", "/opt/airflow/auth/passwords.json"))
        (user, password), *_ = passwords.items()
        self.password = password
        answer = self.client.post(
            f"http://127.0.0.1:{self.port}/auth/token", json={"username": user, "password": password}
        ).raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def down(self) -> None:
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20")

    # --- the REST API

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(path, params=params).raise_for_status().json()

    def unpause(self, dag_id: str) -> None:
        until(f"{dag_id} is there", lambda: self.client.get(f"/dags/{dag_id}").is_success or None, 60)
        self.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def trigger(self, dag_id: str, run_id: str, logical_date: str | None = None) -> str:
        self.client.post(
            f"/dags/{dag_id}/dagRuns", json={"dag_run_id": run_id, "logical_date": logical_date}
        ).raise_for_status()
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        # While the api-server is replaced there is no answer, which is no state either.
        try:
            return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
        except httpx.TransportError:
            return "unknown"

    def finished(self, dag_id: str, run_id: str, seconds: float) -> str:
        return until(
            f"run {run_id} of {dag_id} ends",
            lambda: found if (found := self.state(dag_id, run_id)) in ("success", "failed") else None,
            seconds,
        )

    def tasks(self, dag_id: str, run_id: str) -> dict[str, tuple[str, int]]:
        """Task (with its map index) -> state and number of tries."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=200)["task_instances"]
        return {f"{each['task_id']}[{each['map_index']}]": (each["state"], each["try_number"]) for each in found}


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """A stack that is up; afterwards it is down, with its volumes."""
    stack = Stack(folder)
    stack.run("sh", "compose/secrets.sh")
    try:
        stack.up()
        yield stack
    except BaseException:
        logs = stack.compose("logs", "--no-color", "--tail", "400", check=False)
        (REPOSITORY / ".e2e/failure.log").write_text(logs, encoding="utf-8")
        raise
    finally:
        stack.client.close()
        stack.down()


def until(what: str, found: Callable[[], T | None], seconds: float, every: float = 0.5) -> T:
    """Wait until `found` gives something."""
    end = time.monotonic() + seconds
    while (value := found()) is None:
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(every)
    return value


def leftovers(environment: Mapping[str, str]) -> Sequence[str]:
    """Containers, volumes and networks of the project that are still there."""
    label = f"label=com.docker.compose.project={PROJECT}"
    lists = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
    return [
        line
        for each in lists
        for line in subprocess.run(
            ["docker", *each, "--quiet", "--filter", label],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
