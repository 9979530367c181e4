"""Airflow's home for `airflow-wall run`, and its environment variables. Imports no Airflow."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import yaml

from airflow_wall.cli.output import short
from airflow_wall.connections.info import FILE_VARIABLE
from airflow_wall.errors import WallError
from airflow_wall.settings import LOCAL_RUN, Settings

BUNDLE = "airflow-wall-run"
"""Name of the DAG bundle of `airflow-wall run`."""

CONNECTIONS_FILE = "connections.yaml"
"""Connections for runs from the command line, in the format of Airflow's LocalFilesystemBackend."""

_CONNECTION_EXAMPLE = "write e.g. `platform: {conn_type: sqlite, host: platform.db}`"


def check_connections(file: Path) -> None:
    """
    Check that a file of connections can be read. Airflow says only that a connection is not defined.

    :raises WallError: with the place in the file, and without its text, which holds secrets.
    """
    if file.suffix not in (".yaml", ".yml") or not file.is_file():
        return
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise WallError(f"`{short(file)}{place}` is not YAML: {error.problem}", hint=_CONNECTION_EXAMPLE) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise WallError(f"`{short(file)}` cannot be read: {error}", hint=_CONNECTION_EXAMPLE) from None
    if content is not None and not isinstance(content, dict):
        raise WallError(f"`{short(file)}` must be a mapping of connections by id", hint=_CONNECTION_EXAMPLE)


@dataclass(frozen=True)
class Home:
    """
    Airflow's home for runs from the command line.

    :param path: The directory of the metadata database, the logs and the bundle.
    """

    path: Path

    @property
    def bundle(self) -> Path:
        """Directory of the DAG bundle."""
        return self.path / "bundle"

    @property
    def logs(self) -> Path:
        """Directory of task logs."""
        return self.path / "logs"

    @property
    def recipes(self) -> Path:
        """Directory of the recipes: the inputs of each run's tasks."""
        return self.path / "recipes"

    @property
    def console(self) -> Path:
        """File for the output of Airflow itself."""
        return self.logs / "console.log"

    def environment(self, settings: Settings, connections: Path) -> dict[str, str]:
        """
        Return the environment variables for Airflow. Variables that the caller has already set take precedence.

        :param connections: File of connections; it may be missing.
        """
        bundles = [
            {
                "name": BUNDLE,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(self.bundle)},
            }
        ]
        variables = {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
            # The supervisor checks this often if a task's process has ended; tasks here take seconds.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # Airflow 3.2 needs it to start the Execution API, although requests within a process carry no token.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(),
            FILE_VARIABLE: str(connections),
            LOCAL_RUN: "1",
        }
        if settings.environment is not None:
            variables["AIRFLOW__WALL__ENVIRONMENT"] = settings.environment
        if connections.exists():
            variables["AIRFLOW__SECRETS__BACKEND"] = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
            variables["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps({"connections_file_path": str(connections)})
        return variables

    def write_bundle(self, file: Path) -> Path:
        """Write a loader of the pipeline file into the bundle, and return its path."""
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
    """Return the home for a project: AIRFLOW_HOME if it is set, else `.airflow` in the project's directory."""
    return Home(Path(environ.get("AIRFLOW_HOME") or project / ".airflow").absolute())


@contextlib.contextmanager
def quiet_terminal(console: Path) -> Iterator[TextIO]:
    """
    Redirect all output of this process and its children to the file `console`, and yield the terminal.

    If the block raises, the terminal is restored, so that the error can be shown. Otherwise the redirection lasts until
    the process ends, because Airflow may print at exit too.
    """
    console.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    log = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace") as terminal:
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
