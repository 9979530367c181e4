"""
`airflow-wall dev` serves a folder, reads it again when it changes, and leaves no process behind.

Waits for: a whole Airflow for each test, which starts and ends.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from airflow_database import migrated_sqlite
from airflow_server import START_TIMEOUT, free_port, until
from process_tree import all_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PIPELINE = """\
dag_id: hello
user_defined_macros: {double: "helpers:double", limit: {$import: "helpers:LIMIT"}}
user_defined_filters: {shout: "helpers:shout"}
tasks:
  - id: say
    uses: airflow.providers.standard.operators.bash.BashOperator
    with: {bash_command: {$t: "echo {{ double(limit) | shout }}"}}
"""
HELPERS = """\
LIMIT = 21


def double(number):
    return 2 * number


def shout(text):
    return f"{text}!"
"""


class Dev:
    """`airflow-wall dev` in a process of its own."""

    def __init__(self, project: Path, port: int, stdout: int) -> None:
        self.home = project / ".airflow"
        self.home.mkdir()
        shutil.copy(migrated_sqlite(), self.home / "airflow.db")
        self.url = f"http://localhost:{port}"
        self.output = project.parent / f"{project.name}.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", "dev", "--port", str(port)],
            cwd=project,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def processes(self) -> list[str]:
        """Command lines of all processes of this Airflow, this one's own too."""
        marker = f"AIRFLOW_HOME={self.home}".encode()
        commands = []
        for pid in all_processes():
            with contextlib.suppress(OSError):
                if marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    commands.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        return commands

    def is_healthy(self) -> bool:
        assert self.process.poll() is None
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", trust_env=False)
            return answer.is_success and all(part["status"] == "healthy" for part in answer.json().values())
        return False


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}


def test_folder_is_served_and_read_again_and_no_process_stays(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    with (tmp_path / "shop.txt").open("wb") as output:
        dev = Dev(project, free_port(), output.fileno())
    client = httpx.Client(base_url=dev.url, trust_env=False, timeout=90)
    with dev.process, client:
        try:
            shown = until(lambda: re.search(r"login +(\w+)\npassword +(\S+)\n", dev.output.read_text()), START_TIMEOUT)
            assert f"address    {dev.url}\n" in dev.output.read_text()
            login = {"username": shown[1], "password": shown[2]}
            assert client.post("/auth/token", json={**login, "password": "wrong"}).status_code == 401
            token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"

            file = project / "dags" / "hello.yaml"  # the folder was empty
            (project / "dags" / "helpers.py").write_text(HELPERS)
            file.write_text(PIPELINE)
            until(lambda: client.get("/api/v2/dags/hello/details").is_success)
            assert "dags/hello.yaml: `hello`\n" in until(
                lambda: "hello.yaml" in dev.output.read_text() and dev.output.read_text()
            )
            client.patch("/api/v2/dags/hello", json={"is_paused": False}).raise_for_status()
            runs = "/api/v2/dags/hello/dagRuns"
            run = client.post(runs, json={"logical_date": "2024-01-01T00:00:00Z"}).raise_for_status().json()
            until(lambda: client.get(f"{runs}/{run['dag_run_id']}").json()["state"] in ("success", "failed"))
            log = client.get(f"{runs}/{run['dag_run_id']}/taskInstances/say/logs/1", headers={"Accept": "*/*"}).text
            assert "42!" in log

            file.write_text(PIPELINE.replace("- id: say", "- id: tell\n    retires: 1"))
            until(lambda: "`tasks[tell].retires` is not a known key" in dev.output.read_text())
            until(lambda: client.get("/api/v2/importErrors").json()["total_entries"] == 1)
            file.write_text(PIPELINE.replace("- id: say", "- id: tell"))
            until(
                lambda: [task["task_id"] for task in client.get("/api/v2/dags/hello/tasks").json()["tasks"]] == ["tell"]
            )
            until(lambda: client.get("/api/v2/importErrors").json()["total_entries"] == 0)

            command = [sys.executable, "-c", "from airflow_wall.cli.main import main; main()", "dev"]
            second = subprocess.run(
                command, cwd=project, env=environment(), capture_output=True, text=True, check=False
            )
            assert second.returncode == 1
            assert "error: another Airflow uses `.airflow`" in second.stderr
        finally:
            dev.process.send_signal(signal.SIGINT)
    assert dev.process.returncode == 0
    assert dev.output.read_text().endswith("\nstopping Airflow\nstopped\n")
    assert dev.processes() == []


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: ours and that of the command."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_no_process_stays_when_the_terminal_goes_or_the_command_is_killed(
    tmp_path: Path, terminal: tuple[int, int], number: signal.Signals
) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    ours, theirs = terminal
    dev = Dev(project, free_port(), theirs)
    os.close(theirs)
    with dev.process:
        try:
            until(dev.is_healthy, START_TIMEOUT)
            assert len(dev.processes()) > 4
            os.close(ours)  # from now on writing to the terminal fails
        finally:
            dev.process.send_signal(number)
    until(lambda: not dev.processes(), 20)
