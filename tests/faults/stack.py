"""A whole Airflow with what it stands on, whose parts are hit and, as a deployment does it, started again."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import psutil
from airflow_server import TRIGGERER, AirflowServer, free_port, new_metadata
from servers import Postgres, Redis, served

RESTART = 2.0
"""Seconds after which a component that has ended is started again, as by Docker or a kubelet."""

FAST = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
    "CORE__PARALLELISM": "8",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
}
"""Shorter than what we ship, so that a fault is noticed in 30 s and not in 120."""

SHIPPED = {
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "WORKERS__MAX_FAILED_HEARTBEATS": "120",
    "WORKERS__EXECUTION_API_RETRIES": "12",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "20",
    "WORKERS__EXECUTION_API_TIMEOUT": "90",
}
"""Settings of workers in docker-compose.yaml and the chart."""


def worker(number: int) -> dict[str, tuple[str, ...]]:
    """The command of a Celery worker with a name of its own."""
    options = ("--skip-serve-logs", "--without-mingle", "--celery-hostname", f"w{number}@loopback")
    return {f"worker-{number}": ("celery", "worker", *options)}


class Stack(AirflowServer):
    """
    Airflow's components, kept running: who has ended is started again, unless it is held down.

    :param postgres: What its metadata is in.
    :param redis: Its broker; None with LocalExecutor.
    """

    def __init__(
        self, home: Path, dags: Path, environment: Mapping[str, str], postgres: Postgres, redis: Redis | None
    ) -> None:
        others = dict(TRIGGERER)
        if redis is not None:
            others |= worker(1) | worker(2)
        super().__init__(home, dags, environment, others=others)
        self.postgres = postgres
        self.redis = redis
        self.held: set[str] = set()
        self.ended: dict[str, float] = {}
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._lock = threading.RLock()

    def __enter__(self) -> Stack:
        super().__enter__()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for pid in self.strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        super().__exit__()
        self.clear_strays()

    def _keep(self) -> None:
        while not self._over.wait(0.5):
            with self._lock:
                for name in self.components:
                    if self.processes[name].poll() is None:
                        self.ended.pop(name, None)
                    elif name not in self.held:
                        since = self.ended.setdefault(name, time.monotonic())
                        if time.monotonic() - since >= RESTART:
                            self._start(name, self.components[name])

    # --- injections

    def signal(self, name: str, number: signal.Signals, *, tree: bool) -> None:
        """Send a signal to a component, and with `tree` to all its children, as the end of its container is one."""
        for process in self.tree(name) if tree else [psutil.Process(self.processes[name].pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def tree(self, name: str) -> list[psutil.Process]:
        """The process of a component and all its descendants."""
        try:
            first = psutil.Process(self.processes[name].pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @contextlib.contextmanager
    def down(self, *names: str) -> Iterator[None]:
        """Keep components stopped while in the context."""
        self.held.update(names)
        try:
            yield
        finally:
            self.held.difference_update(names)

    def strays(self) -> list[int]:
        """Processes of this Airflow that no component is the parent of any more."""
        ours = {each.pid for name in self.components if name in self.processes for each in self.tree(name)}
        found = []
        for process in psutil.process_iter(["pid"]):
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid not in ours and process.environ().get("AIRFLOW_HOME") == str(self.home):
                    found.append(process.pid)
        return found

    def clear_strays(self) -> None:
        """End what a killed component left, as the end of its container would have."""
        for pid in self.strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def healthy(self) -> bool:
        """Return True if all components run, and scheduler and API server report that they are healthy."""
        if any(process.poll() is not None for name, process in self.processes.items() if name in self.components):
            return False
        try:
            health = self.client.get("/monitor/health", timeout=10)
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            return health.is_success and all(health.json()[name]["status"] == "healthy" for name in parts)
        except Exception:
            return False


@contextlib.contextmanager
def stack(folder: Path, executor: str, more: Callable[[Postgres], Mapping[str, str]]) -> Iterator[Stack]:
    """
    Run a whole Airflow while in the context.

    :param executor: `local` or `celery`.
    :param more: Gives further variables of its environment.
    """
    dags, home = folder / "dags", folder / "airflow"
    bundle = {"classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": {"path": str(dags)}}
    with contextlib.ExitStack() as open_:
        postgres: Postgres = open_.enter_context(served(Postgres))
        redis = open_.enter_context(served(Redis)) if executor == "celery" else None
        metadata = new_metadata(postgres.connection, "airflow")
        environment = {
            **{f"AIRFLOW__{name}": value for name, value in {**FAST, **SHIPPED}.items()},
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor" if redis else "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": _fernet(),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata,
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([{"name": "pipelines", **bundle}]),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
            "AIRFLOW__WALL__DEPLOYMENT": "faults",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
            **more(postgres),
        }
        if redis:
            environment |= {
                "AIRFLOW__CELERY__BROKER_URL": redis.url,
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata}",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
                "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
                "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
            }
        yield open_.enter_context(Stack(home, dags, environment, postgres, redis))


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def versions() -> dict[str, str]:
    """Return the versions of everything that is tested."""
    providers = (f"apache-airflow-providers-{name}" for name in ("celery", "amazon", "google"))
    names = ("apache-airflow", *providers, "moto", "pyspark")
    found = {name: version(name) for name in names}
    return {"Python": sys.version.split()[0], **found}
