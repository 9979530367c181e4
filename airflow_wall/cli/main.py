"""The command `airflow-wall`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from airflow_wall import __version__
from airflow_wall.cli.doctor import doctor
from airflow_wall.cli.explain import explain
from airflow_wall.cli.graph import graph
from airflow_wall.cli.output import out, report
from airflow_wall.cli.query import query
from airflow_wall.cli.run import run
from airflow_wall.cli.schema import schema
from airflow_wall.cli.validate import validate

app = typer.Typer(
    name="airflow-wall",
    help="From a YAML file to a production pipeline on Apache Airflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (validate, explain, run, graph, query, schema, doctor):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        out().print(f"airflow-wall {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a YAML file to a production pipeline on Apache Airflow."""


def main() -> None:
    """Run the command line: exit code 0, 1 for faults of the user, 2 for a wrong call, 3 for ours, 130 for ^C."""
    try:
        app()
    except Exception as error:
        sys.exit(report(error))
