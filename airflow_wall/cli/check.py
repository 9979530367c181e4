"""`airflow-wall check`: show which slices of a table passed its checks, and check the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.listing import AsJson, print_json
from airflow_wall.cli.output import NOTHING_TO_DO, USER_FAULT
from airflow_wall.settings import Settings
from airflow_wall.storage.base import check_name


def check(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    folder: Annotated[Path, typer.Option("--in", help="The pipelines: a folder or a YAML file.", exists=True)] = Path(
        "dags"
    ),
    every: Annotated[
        bool, typer.Option("--all", help="Check all slices that the present checks have not seen as they are now.")
    ] = False,
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """
    Show which slices of a table passed its checks.

    Only these are released. With --all, slices are checked that changed since, that an older text of the checks has
    judged, or that no check has seen. Exit code 0: all slices passed; 1: some are withheld; 4:
    the table has no slices.
    """
    from airflow_wall.cli.table_checks import (  # imports the tables
        Checker,
        check_slices,
        checkers_of,
        show_slices,
        slices_of,
    )

    check_name(table)
    checkers = checkers_of(folder, Settings.from_environment(os.environ, environment=env), table)
    if every:
        for checker in checkers:
            check_slices(checker, table)
    by_pipeline: dict[str, list[Checker]] = {}
    for checker in checkers:
        by_pipeline.setdefault(checker.plan.dag_id, []).append(checker)
    slices = [row for group in by_pipeline.values() for row in slices_of(table, group)]
    if as_json:
        print_json(table=table, slices=slices)
    else:
        show_slices(table, list(by_pipeline), slices)
    if not slices:
        raise typer.Exit(NOTHING_TO_DO)
    if not all(row["passed"] for row in slices):
        raise typer.Exit(USER_FAULT)
