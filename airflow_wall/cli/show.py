"""`airflow-wall show`: a table with its columns, slices, bad rows and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_wall.cli.listing import STORAGE, AsJson, Storage, open_lake, print_json, print_rows
from airflow_wall.cli.output import out, short
from airflow_wall.lake.lake import Lake
from airflow_wall.text.table_names import REJECTED

if TYPE_CHECKING:
    from airflow_wall.storage.base import TableStore

_SAMPLE = 3
_COMMITS = 10


def show(
    table: Annotated[str, typer.Argument(help="The table, e.g. gold/scores.")],
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest slices, and rows with --rows.")] = 10,
    rows: Annotated[bool, typer.Option("--rows", help="Print rows instead, as `query TABLE` does.")] = False,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Show a table: columns, slices with verdict and staleness, bad rows and history.

    A slice is `withheld` if a pipeline does not release it, and `stale` if rows that it was computed from have changed.
    """
    from airflow_wall.storage.backends import open_tables  # imports Arrow

    lake = open_lake(storage)
    if rows:
        from airflow_wall.cli.query import query

        query(table, limit=limit, storage=storage, as_json=as_json)
        return
    store = open_tables(lake)
    document = describe(lake, store, table)
    if as_json:
        print_json(**document)
        return
    written = f", written {document['written']}" if document["written"] else ""
    out().print(f"{table}: {document['rows']:,} rows, version {document['version']}{written}, by {document['owner']}\n")
    print_rows(("column", "type"), [(column["name"], column["type"]) for column in document["columns"]])
    slices = document["slices"]
    out().print("")
    print_rows(
        ("slice", "rows", "released", "stale"),
        [
            (
                entry["slice"],
                entry["rows"],
                "; ".join(f"withheld: {reason}" for reason in entry["withheld"].values())
                or ("yes" if document["checked_by"] else "yes, no checks"),
                f"yes, run it again: {entry['stale']}" if entry["stale"] else "no",
            )
            for entry in slices[-limit:]
        ],
    )
    if len(slices) > limit:
        out().print(f"and {len(slices) - limit} earlier slices: --limit {len(slices)}")
    for dropped in document["dropped"]:
        out().print(f"{dropped['slice']}  dropped {dropped['at']}: {dropped['rows']:,} rows, {dropped['reason']}")
    bad = document["quarantine"]
    if bad is not None:
        out().print(f"\nbad rows: {bad['rows']:,} in {bad['table']}")
        for sample in bad["sample"]:
            out().print(f"  {sample}")
        out().print(f"look at them: airflow-wall show {bad['table']} --rows --storage {short(storage)}")
    out().print("")
    print_rows(
        ("version", "committed", "operation"),
        [(entry["version"], entry["at"], entry["operation"]) for entry in document["history"]],
    )


def describe(lake: Lake, store: TableStore, table: str) -> dict[str, Any]:
    """Return what is known about a table, as JSON values."""
    from airflow_wall.storage.dropped import DroppedSlices
    from airflow_wall.storage.lineage import Lineage
    from airflow_wall.storage.owners import Owners
    from airflow_wall.storage.verdicts import Checkers, Verdicts

    summary = store.summary(table)
    verdicts = Verdicts(lake, store)
    withheld: dict[str, dict[str, str]] = {}
    pipelines = verdicts.pipelines(table)
    for pipeline in pipelines:
        checkers = Checkers(verdicts.tasks(pipeline, table))
        for item in verdicts.judge(pipeline, table, checkers, accept_earlier=True).withheld:
            withheld.setdefault(item.slice, {})[pipeline] = item.reason
    stale = {part.part.slice or "all": part for part in Lineage(lake, store).stale_of(table)}
    return {
        "table": table,
        "owner": Owners(lake, store).owner(table),
        "version": summary.version,
        "written": summary.written or None,
        "rows": sum(summary.rows.values()),
        "bytes": summary.size,
        "columns": [{"name": field.name, "type": str(field.type)} for field in store.schema(table)],
        "slices": [
            {
                "slice": name,
                "rows": count,
                "withheld": withheld.get(name, {}),
                "stale": f"{stale[name].pipeline}, slice {stale[name].run_slice}" if name in stale else None,
            }
            for name, count in summary.rows.items()
        ],
        "dropped": [vars(dropped) for dropped in DroppedSlices(lake).of(table)],
        "checked_by": pipelines,
        "quarantine": _quarantine(store, f"{table}{REJECTED}"),
        "history": [
            {"version": version, "at": at, "operation": operation}
            for version, at, operation in store.commits(table, _COMMITS)
        ],
    }


def _quarantine(store: TableStore, table: str) -> dict[str, Any] | None:
    if not store.exists(table):
        return None
    rows = sum(store.summary(table).rows.values())
    sample = store.scan(table).first(_SAMPLE) if rows else []
    return {"table": table, "rows": rows, "sample": [_bad_row(row) for row in sample]}


def _bad_row(row: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items() if value not in (None, ""))
