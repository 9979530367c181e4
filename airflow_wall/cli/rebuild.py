"""Find what `airflow-wall run --rebuild` must run again, and move the old rows of the table away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_wall.cli.listing import connected
from airflow_wall.cli.output import short
from airflow_wall.cli.stale import StaleSlice, in_child, writers_of
from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.errors import WallError
from airflow_wall.job import date_of_slice
from airflow_wall.lake.lake import Lake
from airflow_wall.planner.plan import Plan
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import check_name
from airflow_wall.storage.ledger import IngestLedger
from airflow_wall.storage.lineage import Lineage
from airflow_wall.text.table_names import REJECTED


@dataclass(frozen=True)
class TableOrigin:
    """
    The origin of the rows of a table.

    :param slices: Slices of the runs that wrote rows, sorted.
    :param pipelines: Pipelines that wrote rows, sorted.
    :param missing: Files that gave rows and do not exist any more, sorted.
    """

    slices: Sequence[str]
    pipelines: Sequence[str]
    missing: Sequence[str]


def slices_to_rebuild(plan: Plan, table: str) -> list[StaleSlice]:
    """
    Return the slices that write a table anew, the earliest first. Nothing is changed.

    :raises WallError: the pipeline does not write the table, another pipeline does too, or a file of it is gone.
    """
    check_name(table)
    writers = frozenset(writers_of(plan, table))
    if not writers:
        targets = sorted({str(task.arguments["target"]) for task in plan.tasks if "target" in task.arguments})
        raise WallError(
            f"`{plan.dag_id}` does not write the table `{table}`", hint=suggestion(table, targets, what="its tables")
        )
    origin = in_child(_origin, plan.storage, table)
    others = [pipeline for pipeline in origin.pipelines if pipeline != plan.dag_id]
    if others:
        raise WallError(
            f"table `{table}` has rows of {listed(others)} too, which would be lost",
            hint=f"write them to another table first: correct `target` there, and remove `{table}` by hand",
        )
    if origin.missing:
        raise WallError(
            f"table `{table}` cannot be written anew: {len(origin.missing)} of its files are gone, e.g. "
            f"`{origin.missing[0]}`",
            hint=f"put them back into `{short(plan.storage)}`; until then the table keeps its rows",
        )
    return [
        StaleSlice(
            slice_id,
            writers,
            (table,),
            is_newest=slice_id == origin.slices[-1] and date_of_slice(slice_id) is not None,
            is_last=slice_id == origin.slices[-1],
        )
        for slice_id in origin.slices
    ]


def set_aside(plan: Plan, table: str) -> str | None:
    """Move a table and its bad rows to a folder in the lake. Return the folder, or None if the table does not exist."""
    lake = connected(plan.storage)
    folder = lake.state_key("replaced", f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    moved = None
    for name in (table, f"{table}{REJECTED}"):
        if lake.objects.names(name):
            lake.objects.move(name, f"{folder}/{name}")
            moved = lake.place(folder)
    return moved


def _origin(storage: Lake, table: str) -> TableOrigin:
    lake = connected(storage)
    ledger = IngestLedger(lake).takers(table)
    parts = Lineage(lake, open_tables(lake)).makers(table)
    files = {uri for _, uri, _ in ledger if "://" not in uri}
    return TableOrigin(
        sorted({slice_id for _, _, slice_id in ledger} | {slice_id for _, slice_id in parts}),
        sorted({pipeline for pipeline, _, _ in ledger} | {pipeline for pipeline, _ in parts}),
        sorted(uri for uri in files if not lake.has_file(uri)),
    )
