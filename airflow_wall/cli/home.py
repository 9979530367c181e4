"""Where `airflow-wall run` keeps Airflow's state, and the environment it runs Airflow in. Imports no Airflow."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from airflow_wall.connections import FILE_VARIABLE
from airflow_wall.settings import Settings

BUNDLE = "airflow-wall-run"
"""Name of the DAG bundle that holds what `airflow-wall run` runs."""

CONNECTIONS_FILE = "connections.yaml"
"""Connections for runs from the command line, in the format of Airflow's LocalFilesystemBackend."""


@dataclass(frozen=True)
class Home:
    """
    Airflow's home for runs from the command line.

    :param path: The folder: metadata database, logs, and the bundle are in it.
    """

    path: Path

    @property
    def bundle(self) -> Path:
        """Folder of the DAG bundle."""
        return self.path / "bundle"

    @property
    def logs(self) -> Path:
        """Folder of task logs."""
        return self.path / "logs"

    @property
    def recipes(self) -> Path:
        """Folder of notes on what the tasks of each run were made from."""
        return self.path / "recipes"

    @property
    def console(self) -> Path:
        """File that takes what Airflow itself prints."""
        return self.logs / "console.log"

    def environment(self, settings: Settings, connections: Path) -> dict[str, str]:
        """
        The variables Airflow is run with. What the caller's environment already says stays.

        :param connections: File of connections; it need not be there.
        """
        bundles = [
            {
                "name": BUNDLE,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(self.bundle)},
            }
        ]
        wanted = {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
            # The supervisor looks this often whether a task's process has ended; tasks here take seconds.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            FILE_VARIABLE: str(connections),
        }
        if settings.environment is not None:
            wanted["AIRFLOW__WALL__ENVIRONMENT"] = settings.environment
        if connections.exists():
            wanted["AIRFLOW__SECRETS__BACKEND"] = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
            wanted["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps({"connections_file_path": str(connections)})
        return wanted

    def write_bundle(self, file: Path) -> Path:
        """Put a loader of the pipeline file into the bundle; return its path."""
        stub = self.bundle / f"{file.stem}.py"
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(
            f'"""The Airflow DAGs of {file.name}."""\n\n'
            "from airflow_wall import load_dags\n\n"
            f"globals().update(load_dags({str(file)!r}))\n",
            encoding="utf-8",
        )
        return stub


def find_home(project: Path, environ: Mapping[str, str]) -> Home:
    """The home for a project: AIRFLOW_HOME where that is set, else `.airflow` in the project's folder."""
    return Home(Path(environ.get("AIRFLOW_HOME") or project / ".airflow").absolute())


@contextlib.contextmanager
def quiet_terminal(console: Path) -> Iterator[TextIO]:
    """
    Send all that this process and its children print to the file `console`, and yield the terminal for the user.

    An error that leaves the block finds the terminal as it was, so that it can be told there. Else printing goes to the
    file to the end of the process, when Airflow may have something to say, too.
    """
    console.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    log = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as terminal:
        for descriptor in kept:
            os.dup2(log, descriptor)
        os.close(log)
        try:
            yield terminal
        except BaseException:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, former in kept.items():
                os.dup2(former, descriptor)
            raise
