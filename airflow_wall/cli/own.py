"""`airflow-wall own`: make a task the owner of a table, e.g. after its pipeline was renamed."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_wall.cli.listing import STORAGE, Storage, lake_at
from airflow_wall.cli.output import out, short
from airflow_wall.errors import WallError
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import check_name
from airflow_wall.storage.owners import Owners


def own(
    table: Annotated[str, typer.Argument(help="The table, e.g. bronze/orders.")],
    task: Annotated[str, typer.Argument(metavar="PIPELINE.TASK", help="The task that writes it from now on.")],
    storage: Storage = STORAGE,
) -> None:
    """
    Make a task the owner of a table.

    A table belongs to the first task that writes it, and other tasks are rejected. Use this command after you have
    renamed the task or its pipeline, or when another task is to write the table. Its rows stay.
    """
    check_name(table)
    pipeline, _, name = task.partition(".")
    if not pipeline or not name:
        raise WallError(f"`{task}` must be `PIPELINE.TASK`", hint=f"write e.g. `airflow-wall own {table} orders.load`")
    lake = lake_at(storage)
    owners = Owners(lake, open_tables(lake))
    if owners.owner(table) is None:
        raise WallError(
            f"table `{table}` has no owner in the lake `{short(storage)}`",
            hint="nothing is to be done: the first task that writes it becomes its owner; or correct `--storage`",
        )
    before = owners.take_over(table, task)
    out().print(f"{table}: {before} -> {task}")
