"""
The pipelines of `docs/examples`, from which the reference takes its examples, are run.

Waits for: a run of each example, by `airflow-wall run`.
"""

from __future__ import annotations

import http.server
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import COMMAND

from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CUSTOMERS = [("ana", "pt", 1), ("bo", "se", 2), ("chen", "cn", 3)]

OURS = [
    "connections.yaml",
    "steps.yaml",
    "deployment.yaml",
    "steps_on_clouds.yaml",
    "steps_with_packages.yaml",
    "airflow_3_4.yaml",
]
"""Files without a pipeline, with a test of their own, or that need more than this machine or this Airflow."""


def pipelines() -> list[tuple[str, str]]:
    """File and DAG id of every pipeline that runs as it is."""
    files = [path for path in sorted(EXAMPLES.glob("*.yaml")) if path.name not in OURS]
    return [(path.name, spec.head.dag_id) for path in files for spec in load_specs(path, Settings())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copied, ignore=shutil.ignore_patterns("__pycache__", ".airflow"))
    with sqlite3.connect(copied / "lake" / "shop.db") as database:
        database.execute("create table customers (name text, country text, changed integer)")
        database.executemany("insert into customers values (?, ?, ?)", CUSTOMERS)
    database.close()
    return copied


class _Partner(http.server.BaseHTTPRequestHandler):
    received: list[bytes]

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing in the terminal."""


@pytest.fixture
def partner(folder: Path) -> Iterator[list[bytes]]:
    received: list[bytes] = []
    handler = type("Handler", (_Partner,), {"received": received})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connections = folder / "connections.yaml"
        connections.write_text(connections.read_text().replace(":8099/", f":{server.server_address[1]}/"))
        yield received
        server.shutdown()


def run(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["AIRFLOW_VAR_SECONDS_UNTIL_LATE"] = "3600"  # a deadline of `notifications.yaml` asks for it
    command = [COMMAND, "run", *arguments, "--date", "2024-03-02"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_step_runs(folder: Path, partner: list[bytes]) -> None:
    with (folder / "checks" / "features.yaml").open("a") as checks:
        checks.write("  - row_count: {max: 1, name: 'few [1] orders', severity: warn}\n")
    output = run(folder, "steps.yaml")
    assert "checks       4 passed, 1 warned, 0 failed\n             warning: few [1] orders: 24 rows\n" in output
    assert "24 rows in sql://shop/order_values" in output
    assert len(partner) == 1
    assert partner[0].count(b"\n") == 24


@pytest.mark.parametrize(("file", "dag_id"), pipelines())
def test_every_other_example_runs(folder: Path, file: str, dag_id: str) -> None:
    assert ": success\n" in run(folder, file, "--dag-id", dag_id)
