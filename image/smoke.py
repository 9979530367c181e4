"""
Proves an image before it is one: every executor and kind of bundle can be imported, a Git repository is read, and every
component starts and says that it is healthy.

Run while the image is built, without any server: metadata in SQLite, Celery's broker in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

EXECUTORS = (
    "airflow.executors.local_executor.LocalExecutor",
    "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    "airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
)
GIT = "airflow.providers.git.bundles.git.GitDagBundle"
COMPONENTS = {
    "api-server": ["airflow", "api-server", "--workers", "1"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "worker": ["airflow", "celery", "worker", "--skip-serve-logs", "--concurrency", "1"],
}
BUNDLES = ("airflow_wall.bundles.PipelineBundle", "airflow_wall.bundles.UpkeepBundle", GIT)
EXTRA_BUNDLES = {
    "amazon": "airflow.providers.amazon.aws.bundles.s3.S3DagBundle",
    "google": "airflow.providers.google.cloud.bundles.gcs.GCSDagBundle",
}
EXTRAS = {
    "amazon": [sys.executable, "-c", "import airflow.providers.amazon.aws.hooks.emr"],
    "google": [sys.executable, "-c", "import airflow.providers.google.cloud.hooks.dataproc"],
    "spark": ["spark-submit", "--version"],
}
TIMEOUT = 300.0
API = "http://127.0.0.1:8080/api/v2"


def main() -> None:
    extras = os.environ.get("EXTRAS", "").split()
    for path in (*EXECUTORS, *BUNDLES, *(EXTRA_BUNDLES[extra] for extra in extras if extra in EXTRA_BUNDLES)):
        imported(path)
        print(f"imported {path}")
    for extra in extras:
        subprocess.run(EXTRAS[extra], check=True)
        print(f"tried {extra}")
    with tempfile.TemporaryDirectory() as folder:
        read_repository(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        start(Path(folder))


def imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def read_repository(home: Path) -> None:
    """Read a pipeline from a repository, as the DAG processor does, and see that there is an ssh for remote ones."""
    repository = home / "repository"
    repository.mkdir()
    (repository / "scores.yaml").write_text("dag_id: scores\n")
    author = ("-c", "user.name=smoke", "-c", "user.email=smoke@example.com")
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "Add"]):
        subprocess.run(["git", *author, *command], cwd=repository, check=True)
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH"] = str(home / "bundles")
    bundle = imported(GIT)(name="smoke", repo_url=str(repository), tracking_ref="main")
    bundle.initialize()
    names = [path.name for path in Path(bundle.path).glob("*.yaml")]
    if names != ["scores.yaml"]:
        sys.exit(f"the Git bundle has {names}")
    subprocess.run(["ssh", "-V"], check=True, stderr=subprocess.DEVNULL)
    print("read a Git repository")


def start(home: Path) -> None:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only while the image is built, and long enough",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "true",
        "AIRFLOW__CELERY__BROKER_URL": "memory://",
        "AIRFLOW__CELERY__RESULT_BACKEND": "cache+memory://",
        "NO_PROXY": "127.0.0.1",
    }
    subprocess.run(["airflow", "db", "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in COMPONENTS.items():
            with (home / f"{name}.out").open("wb") as out:
                running[name] = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        checks: dict[str, Callable[[], bool]] = {
            "api-server": lambda: ask("/version") is not None,
            "worker": lambda: " ready." in log_of(home, "worker"),
            **{
                name: lambda name=name: healthy(name.replace("-", "_"))
                for name in ("scheduler", "dag-processor", "triggerer")
            },
        }
        for name, check in checks.items():
            wait(name, check, running[name], home)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def wait(name: str, check: Callable[[], bool], process: subprocess.Popen[bytes], home: Path) -> None:
    began = time.monotonic()
    while time.monotonic() < began + TIMEOUT:
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode}\n{log_of(home, name)}")
        if check():
            print(f"started {name}")
            return
        time.sleep(0.5)
    sys.exit(f"{name} was not healthy within {TIMEOUT:.0f} s\n{log_of(home, name)}")


def log_of(home: Path, name: str) -> str:
    return (home / f"{name}.out").read_text(errors="replace")


def healthy(component: str) -> bool:
    found = ask("/monitor/health")
    return found is not None and found[component]["status"] == "healthy"


def ask(path: str) -> dict[str, dict[str, str]] | None:
    try:
        with urllib.request.urlopen(f"{API}{path}", timeout=30) as answer:
            found: dict[str, dict[str, str]] = json.load(answer)
            return found
    except OSError:
        return None


if __name__ == "__main__":
    main()
