"""`airflow-wall tables`: the tables of a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import out, short
from airflow_wall.errors import WallError
from airflow_wall.settings import DEFAULT_STORAGE
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.dropped import DroppedSlices
from airflow_wall.text.reserved import STATE

tables = typer.Typer(help="The tables of a lake.", no_args_is_help=True)

Storage = Annotated[Path, typer.Option(help="The lake, as `storage` of the pipeline names it.")]


@tables.command("drop-slice")
def drop_slice(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    slice_id: Annotated[str, typer.Argument(metavar="SLICE", help="The slice, e.g. 20130701T000000Z.")],
    reason: Annotated[str, typer.Option(help="Why, for the record in the lake.")],
    storage: Storage = Path(DEFAULT_STORAGE),
) -> None:
    """
    Delete the rows of one slice of a table, e.g. rows that its checks rejected.

    The date, the reason and the number of rows are recorded in the lake. Tables that were computed from these rows are
    stale afterwards. A run of the slice's date writes the rows again.
    """
    store = open_tables(storage)
    rows = store.drop_slice(table, slice_id)
    if not rows:
        raise WallError(
            f"table `{table}` has no rows of slice `{slice_id}` in the lake `{short(storage)}`",
            hint="look at the slices that it has: `airflow-wall tables slices " + table + "`",
        )
    DroppedSlices(storage / STATE).record(table, slice_id, rows=rows, reason=reason)
    out().print(f"{table}, slice {slice_id}: {rows:,} rows dropped")


@tables.command("slices")
def slices(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    storage: Storage = Path(DEFAULT_STORAGE),
) -> None:
    """List the slices of a table, and those that were dropped."""
    for slice_id in open_tables(storage).slices(table):
        out().print(slice_id)
    for dropped in DroppedSlices(storage / STATE).of(table):
        out().print(f"{dropped.slice}  dropped {dropped.at}: {dropped.rows:,} rows, {dropped.reason}")
