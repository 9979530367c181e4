"""The command `airflow-wall`."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall import __version__
from airflow_wall.cli.check import check
from airflow_wall.cli.command import Commands
from airflow_wall.cli.contract import contract
from airflow_wall.cli.doctor import doctor
from airflow_wall.cli.explain import explain
from airflow_wall.cli.fmt import fmt
from airflow_wall.cli.graph import graph
from airflow_wall.cli.init import init
from airflow_wall.cli.models import models
from airflow_wall.cli.output import out, report
from airflow_wall.cli.own import own
from airflow_wall.cli.query import query
from airflow_wall.cli.releases import releases
from airflow_wall.cli.run import run
from airflow_wall.cli.schema import schema
from airflow_wall.cli.show import show
from airflow_wall.cli.status import status
from airflow_wall.cli.tables import tables
from airflow_wall.cli.try_connections import connection_commands
from airflow_wall.cli.validate import validate

app = Commands(
    name="airflow-wall",
    help="From a YAML file to a production pipeline on Apache Airflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (init, validate, fmt, explain, run, status, graph, query, show, check, contract, own, schema, doctor):
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(releases, name="releases")
app.add_typer(tables, name="tables")
app.add_typer(connection_commands, name="connections")


def _version(is_set: bool) -> None:
    if is_set:
        out().print(f"airflow-wall {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001  its callback acts on it
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a YAML file to a production pipeline on Apache Airflow."""
    if home := os.environ.get("AIRFLOW_HOME"):
        # Airflow uses it unchanged, and rejects a database at a relative path.
        os.environ["AIRFLOW_HOME"] = str(Path(home).expanduser().absolute())


def main() -> None:
    """
    Run the command line.

    Exit codes: 0, 1 for the user's faults, 2 for usage, 3 for our faults, 4 if there was nothing to do, 130 for ^C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not support all characters of a name
    try:
        app()
    except Exception as error:
        sys.exit(report(error))
