"""The options and the Airflow connections of commands that look at published rows."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_wall.cli.home import CONNECTIONS_FILE, find_home
from airflow_wall.settings import Settings

if TYPE_CHECKING:
    from airflow_wall.connections.info import ConnectionInfo

Project = Annotated[Path, typer.Option(help="The project's folder.", exists=True, file_okay=False)]

Connections = Annotated[
    Path | None,
    typer.Option(
        help=f"File of Airflow connections; by default {CONNECTIONS_FILE} in the project's folder.",
        exists=True,
        dir_okay=False,
    ),
]


def use_connections(project: Path, file: Path | None) -> None:
    """Let `connection` read a file of connections, too. Call it before Airflow is imported."""
    connections = file or project / CONNECTIONS_FILE
    variables = find_home(project, os.environ).environment(Settings(), connections.absolute())
    os.environ.update({key: value for key, value in variables.items() if key not in os.environ})
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")  # Airflow 3.2 logs what it sets up


def connection(conn_id: str, /) -> ConnectionInfo:
    """
    Return an Airflow connection.

    :raises ConnectionFault: it is not defined.
    """
    with contextlib.redirect_stdout(sys.stderr):  # Airflow 3.2 prints what it sets up, and rows may go to a pipe
        from airflow_wall.operators.base import connection as of_airflow

        return of_airflow(conn_id)
