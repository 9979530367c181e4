"""The components of an Airflow for development: processes that end with this one. Imports no Airflow."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from airflow_wall.cli.output import short
from airflow_wall.errors import DeploymentError
from airflow_wall.processes.lifetime import dying_with_parent

COMMANDS = {
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),  # the API server reads the logs from the same disk
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""The components, with their commands."""

START_TIMEOUT = 300.0
"""Seconds until all components must be healthy. On two idle cores it takes 15."""

GRACE = 15.0
"""Seconds that components and running tasks have to end after SIGTERM."""

_GUARD = """\
import os, signal, sys
sys.stdin.buffer.read()
for group in map(int, sys.argv[1:]):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
"""Program of the guard: when its standard input closes, it kills the groups of the components."""


class Components:
    """
    The processes of an Airflow. Each component is the leader of a process group, with the tasks that it runs.

    :param environment: Their environment variables.
    :param folder: Their working directory.
    :param logs: Directory for what they print, a file for each.
    :param address: Address of the API server.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, logs: Path, address: str) -> None:
        self.environment = environment
        self.folder = folder
        self.logs = logs
        self.address = address
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start all components. If this process is killed, a guard kills them and their tasks."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for name, command in COMMANDS.items():
            with self.log(name).open("wb") as log:
                self.processes[name] = subprocess.Popen(  # noqa: S603  Airflow's own commands
                    [sys.executable, "-m", "airflow", *command],
                    env=self.environment,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=dying_with_parent(),
                )
        groups = [str(process.pid) for process in self.processes.values()]
        self._guard = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-I", "-S", "-c", _GUARD, *groups], stdin=subprocess.PIPE, start_new_session=True
        )

    def wait_until_healthy(self) -> None:
        """
        Return when all components report that they are healthy.

        :raises DeploymentError: one ended, or it takes too long.
        """
        deadline = time.monotonic() + START_TIMEOUT
        with httpx.Client(trust_env=False, timeout=5) as client:  # a proxy is not for this machine
            while time.monotonic() < deadline:
                self.check()
                with contextlib.suppress(httpx.HTTPError):
                    health = client.get(f"{self.address}/api/v2/monitor/health")
                    if health.is_success and all(part["status"] == "healthy" for part in health.json().values()):
                        return
                time.sleep(0.3)
        raise DeploymentError(
            f"Airflow was not healthy within {START_TIMEOUT:.0f} s", hint=f"see the logs in `{short(self.logs)}`"
        )

    def check(self) -> None:
        """
        Check that all components run.

        :raises DeploymentError: one ended.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
                reason = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
                raise DeploymentError(
                    f"Airflow's {name} ended with exit code {process.returncode}: {reason}",
                    hint=f"see its log `{short(self.log(name))}`",
                )

    def log(self, name: str) -> Path:
        """Return the file of what a component prints."""
        return self.logs / f"{name}.log"

    def stop(self) -> None:
        """End all components and their tasks by SIGTERM; after a while, or if the wait is interrupted, by SIGKILL."""
        self._signal_groups(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        try:
            for process in self.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self._signal_groups(signal.SIGKILL)
            for process in self.processes.values():
                process.wait()
            if self._guard is not None:
                self._guard.kill()
                self._guard.communicate()

    def _signal_groups(self, number: signal.Signals) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
