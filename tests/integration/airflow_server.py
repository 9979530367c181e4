"""
A whole Airflow of one's own on loopback: API server, scheduler, DAG processor; by default with LocalExecutor and SQLite.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from airflow_database import migrate, migrated_sqlite
from cryptography.fernet import Fernet

from airflow_wall.connections.info import ConnectionInfo

T = TypeVar("T")

START_TIMEOUT = 300.0
"""Seconds until every component must be healthy; on two quiet cores it takes 15."""

PATIENCE = 180.0
"""Seconds until what a test waits for must hold; on two quiet cores few things take 10."""

TEMPLATE = "airflow_template"
"""Name of the Postgres database that Airflow's tables are copied from."""

COMPONENTS = {
    "api-server": ("api-server", "--host", "127.0.0.1", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),  # the API server reads the logs from the same disk
    "dag-processor": ("dag-processor",),
}

TRIGGERER = {"triggerer": ("triggerer", "--skip-serve-logs")}
"""For tests that defer, or miss a deadline."""

CELERY_WORKER = {"worker": ("celery", "worker", "--skip-serve-logs", "--without-mingle", "--without-gossip")}
"""For tests with CeleryExecutor; the environment names the broker."""


class AirflowServer:
    """
    Airflow's components as processes, and its REST API. Use it as a context manager.

    :param home: AIRFLOW_HOME: the metadata database, and below `logs` what components and tasks log.
    :param dags: The folder of DAGs.
    :param environment: Further variables for all components.
    :param others: The components there are beside the three, by name: their commands.
    :param login: User and password of the client; by default anybody is admin.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str],
        *,
        others: Mapping[str, tuple[str, ...]] = {},
        login: tuple[str, str] | None = None,
    ) -> None:
        self.login = login
        self.home = home
        self.dags = dags
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {**self._environment(), **environment}
        self.components = {**COMPONENTS, **others}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # A proxy of the machine is not for loopback.
        self.client = httpx.Client(base_url=f"{self.url}/api/v2", timeout=90, trust_env=False)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("AIRFLOW")}
        wanted: dict[str, dict[str, object]] = {
            "core": {
                "dags_folder": self.dags,
                "executor": "LocalExecutor",
                # Without one, each component writes a configuration with a key of its own if all start at once, and
                # the triggerer cannot decrypt the triggers.
                "fernet_key": Fernet.generate_key().decode(),
                "load_examples": False,
                "parallelism": 4,
                "simple_auth_manager_all_admins": True,
            },
            "api": {"base_url": self.url, "port": self.url.rpartition(":")[2], "secret_key": secrets.token_hex(16)},
            "api_auth": {"jwt_secret": secrets.token_hex(32)},
            "scheduler": {"scheduler_idle_sleep_time": 0.2},
            "dag_processor": {"refresh_interval": 5, "min_file_process_interval": 1},
            # The supervisor looks this often whether a task's process has ended; tasks here take seconds.
            # On a loaded machine the API server has needed more than Airflow's 5 s, and the task failed before it began.
            "workers": {"min_heartbeat_interval": 1, "execution_api_timeout": 90},
            "usage_data_collection": {"enabled": False},
        }
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
            **{
                f"AIRFLOW__{section}__{name}".upper(): str(value)
                for section, options in wanted.items()
                for name, value in options.items()
            },
        }

    # --- its life

    def __enter__(self) -> AirflowServer:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in self.environment:
                shutil.copy(migrated_sqlite(), self.home / "airflow.db")
            for name, command in self.components.items():
                self._start(name, command)
            self._wait_until_healthy()
            self.client.headers["Authorization"] = f"Bearer {self._token()}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def _token(self) -> str:
        if self.login is None:
            answer = self.client.get(f"{self.url}/auth/token")
        else:
            user, password = self.login
            answer = self.client.post(f"{self.url}/auth/token", json={"username": user, "password": password})
        return str(answer.raise_for_status().json()["access_token"])

    def __exit__(self, *_: object) -> None:
        self.client.close()
        for process in self.processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + 15
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in self.processes.values():
            _signal_group(process, signal.SIGKILL)  # also what is left of the group when its leader has ended
            process.wait()

    def _start(self, name: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self._console(name).open("ab") as console:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.processes[name]

    def _wait_until_healthy(self) -> None:
        for _ in waiting(START_TIMEOUT):
            ended = [name for name in self.components if self.processes[name].poll() is not None]
            if ended:
                raise AssertionError(f"{', '.join(ended)} ended while Airflow was starting\n{self.last_lines()}")
            with contextlib.suppress(httpx.TransportError):
                health = self.client.get("/monitor/health")
                wanted = {"metadatabase", "scheduler", "dag_processor", *({"triggerer"} & self.components.keys())}
                if health.is_success and all(health.json()[name]["status"] == "healthy" for name in wanted):
                    return
        raise AssertionError(f"Airflow was not healthy within {START_TIMEOUT:.0f} s\n{self.last_lines()}")

    def _console(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def last_lines(self, count: int = 40) -> str:
        """The end of what each component printed, and which have ended."""
        parts = []
        for name, process in self.processes.items():
            ended = "" if process.poll() is None else f", ended with {process.returncode}"
            lines = self._console(name).read_text(encoding="utf-8", errors="replace").splitlines()
            parts.append("\n".join([f"--- {name}, {self._console(name)}{ended}", *lines[-count:]]))
        return "\n".join(parts)

    # --- its REST API

    def get(self, path: str, **parameters: Any) -> Any:
        """GET a path below `/api/v2`; the answer's JSON."""
        answer = self.client.get(path, params=parameters, headers={"Accept": "application/json"})
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def import_errors(self) -> dict[str, str]:
        """File, relative to the DAG folder, to its import error."""
        return {each["filename"]: each["stack_trace"] for each in self.get("/importErrors")["import_errors"]}

    def errors_of(self, bundle: str) -> dict[str, str]:
        """File, relative to the bundle, to its import error."""
        found = self.get("/importErrors")["import_errors"]
        return {each["filename"]: each["stack_trace"] for each in found if each["bundle_name"] == bundle}

    def active_dags(self) -> set[str]:
        """Ids of the DAGs that are not stale."""
        found: set[str] = set()
        for offset in itertools.count(0, 100):  # a page has a hundred at most, whatever is asked for
            page = self.get("/dags", limit=100, offset=offset, order_by="dag_id")
            found |= {each["dag_id"] for each in page["dags"]}
            if offset + 100 >= page["total_entries"]:
                break
        return found

    def edges(self, dag_id: str) -> tuple[set[str], set[tuple[str, str]]]:
        """The ids of the tasks, and the edges between them."""
        tasks = self.get(f"/dags/{dag_id}/tasks")["tasks"]
        ids = {task["task_id"] for task in tasks}
        return ids, {(task["task_id"], below) for task in tasks for below in task["downstream_task_ids"]}

    def trigger(self, dag_id: str, logical_date: str) -> str:
        """Unpause a DAG and start a run of it; its run id."""
        self.client.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        answer = self.client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": logical_date})
        assert answer.is_success, f"trigger {dag_id}: {answer.status_code} {answer.text}"
        return str(answer.json()["dag_run_id"])

    def finished(self, dag_id: str, run_id: str, timeout: float = 240) -> tuple[str, dict[str, str]]:
        """Wait until a run has ended; its state, and the state of each of its tasks."""
        run = f"/dags/{dag_id}/dagRuns/{run_id}"
        for _ in waiting(timeout):
            if self.get(run)["state"] in ("success", "failed"):
                break
        tasks = self.states(dag_id, run_id)
        return self.get(run)["state"], tasks

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        return {each["task_id"]: each["state"] for each in found}

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the log of a task's first try, as JSON lines."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"
        return "\n".join(json.dumps(entry) for entry in self.get(path, full_content=True)["content"])


def waiting(timeout: float, pause: float = 0.3) -> Iterator[None]:
    """Yield until `timeout` seconds are over, with pauses; the last time just before the end."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)


def until(holds: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Wait until something holds, and return what it then was; fail where it does not within `timeout` seconds."""
    for _ in waiting(timeout):
        if found := holds():
            return found
    found = holds()
    assert found
    return found


def connected(server: ConnectionInfo, database: str) -> psycopg.Connection[Any]:
    """A connection to one database of a Postgres."""
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.login,
        password=server.password,
        dbname=database,
        autocommit=True,
    )


def new_database(server: ConnectionInfo, database: str, template: str = "template1") -> str:
    """Create a Postgres database and return its URL."""
    with connected(server, "postgres") as there:
        there.execute(f"create database {database} template {template}")
    return f"postgresql+psycopg://{server.login}:{server.password}@{server.host}:{server.port}/{database}"


def new_metadata(server: ConnectionInfo, database: str) -> str:
    """Create a Postgres database with Airflow's tables and return its URL."""
    return new_database(server, database, _migrated_postgres(server))


def _migrated_postgres(server: ConnectionInfo) -> str:
    """Name of the migrated database on this server, which others are copied from; the first call makes it."""
    with connected(server, "postgres") as there:
        exists = there.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone()
    if not exists:
        url = new_database(server, TEMPLATE)
        with tempfile.TemporaryDirectory() as home:
            names = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC")
            migrate({"AIRFLOW_HOME": home, **dict.fromkeys(names, url)})
    return TEMPLATE


def free_port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return True if something listens on a TCP port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
