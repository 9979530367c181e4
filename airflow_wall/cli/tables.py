"""`airflow-wall tables`: the tables of a lake."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from airflow_wall.cli.command import Commands
from airflow_wall.cli.listing import STORAGE, AsJson, ListingGroup, Reason, Storage, open_lake, print_json, print_rows
from airflow_wall.cli.output import NOTHING_TO_DO, USER_FAULT, note, out, say, short
from airflow_wall.diagnostics.printable import counted
from airflow_wall.errors import DataError, WallError
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import ALL, TableStore
from airflow_wall.storage.dropped import DroppedSlices
from airflow_wall.storage.owners import Owners

tables = Commands(help="The tables of a lake: `airflow-wall tables [PATTERN]` lists them.", cls=ListingGroup)


@tables.command("list")
def list_tables(
    pattern: Annotated[str | None, typer.Argument(help="A table, or a pattern such as `silver/*`.")] = None,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """List the tables with their rows, slices, owner and last commit. Exit code 1: one cannot be read."""
    lake = open_lake(storage)
    store = open_tables(lake)
    owners = Owners(lake, store)
    names = store.tables() if pattern is None else store.names(pattern)
    entries = [_entry(name, store, owners) for name in names]
    if as_json:
        print_json(tables=entries)
    elif not entries:
        out().print(f"no tables in the lake `{short(storage)}`")
    else:
        columns = ("table", "rows", "slices", "written", "owner")
        print_rows(columns, [[entry.get(name) for name in columns] for entry in entries])
    if errors := [entry["error"] for entry in entries if "error" in entry]:
        for error in errors:
            say(error)
        raise typer.Exit(USER_FAULT)


def _entry(name: str, store: TableStore, owners: Owners) -> dict[str, Any]:
    try:
        summary = store.summary(name)
        owner = owners.owner(name)
    except DataError as error:
        return {"table": name, "error": error.message.partition("\n")[0]}
    return {
        "table": name,
        "rows": sum(summary.rows.values()),
        "slices": len(summary.rows.keys() - {ALL}),
        "bytes": summary.size,
        "version": summary.version,
        "written": summary.written or None,
        "owner": owner,
    }


@tables.command("drop-slice")
def drop_slice(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    slice_id: Annotated[str, typer.Argument(metavar="SLICE", help="The slice, e.g. 20130701T000000Z.")],
    reason: Reason,
    storage: Storage = STORAGE,
) -> None:
    """
    Delete the rows of one slice of a table, e.g. rows that its checks rejected.

    The date, the reason and the number of rows are recorded in the lake. Tables that were computed from these rows are
    stale afterwards. A run of the slice's date writes the rows again.
    """
    lake = open_lake(storage)
    store = open_tables(lake)
    rows = store.drop_slice(table, slice_id)
    if not rows:
        raise WallError(
            f"table `{table}` has no rows of slice `{slice_id}` in the lake `{short(storage)}`",
            hint="look at the slices that it has: `airflow-wall tables slices " + table + "`",
        )
    DroppedSlices(lake).record(table, slice_id, rows=rows, reason=reason)
    out().print(f"{table}, slice {slice_id}: {counted(rows, 'row')} dropped")


@tables.command("slices")
def slices(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """List the slices of a table, and those that were dropped. Exit code 4: there are none."""
    lake = open_lake(storage)
    present = open_tables(lake).slices(table)
    dropped = DroppedSlices(lake).of(table)
    if as_json:
        gone = [{"slice": each.slice, "at": each.at, "rows": each.rows, "reason": each.reason} for each in dropped]
        print_json(table=table, slices=list(present), dropped=gone)
    else:
        for slice_id in present:
            out().print(slice_id)
        for each in dropped:
            out().print(f"{each.slice}  dropped {each.at}: {counted(each.rows, 'row')}, {each.reason}")
    if not present and not dropped:
        note(f"table `{table}` has no slices in the lake `{short(storage)}`")
        raise typer.Exit(NOTHING_TO_DO)
