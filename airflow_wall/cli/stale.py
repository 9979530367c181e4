"""Find the dates of a pipeline that must run again, because rows that their tables were computed from have changed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from airflow_wall.cli.listing import connected
from airflow_wall.job import date_of_slice, slice_id_of
from airflow_wall.lake.lake import Lake
from airflow_wall.planner.plan import Plan, TaskPlan
from airflow_wall.planner.table_reads import target_table
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import ALL
from airflow_wall.storage.lineage import Lineage, StalePart

T = TypeVar("T")

_RELEASES = frozenset(("start_sender", "persist", "index", "submit", "stop_sender", "publish"))
"""Steps of a release. It holds all slices, so only the last of several dates repeats it."""

_MODELS = frozenset(("retrain",))
"""Steps that only the newest date repeats: models have already learned from it."""


@dataclass(frozen=True)
class StaleSlice:
    """
    A slice of which some tables are stale.

    :param slice_id: The slice of the run that computes them.
    :param tasks: The tasks that compute them.
    :param tables: The tables.
    :param is_newest: True if the pipeline has computed no later date.
    :param is_last: True if no other slice is computed again after it.
    """

    slice_id: str
    tasks: frozenset[str]
    tables: tuple[str, ...]
    is_newest: bool = False
    is_last: bool = False

    @property
    def date(self) -> datetime | None:
        """The logical date of its run; None if the run has none."""
        return date_of_slice(self.slice_id)


def stale_slices(plan: Plan) -> list[StaleSlice]:
    """Return the slices of which the pipeline must compute a table again, the earliest first."""
    by_slice: dict[str, list[StalePart]] = {}
    stale_parts, run_slices = in_child(_stale, plan.storage, plan.dag_id)
    newest = max((date for slice_id in run_slices if (date := date_of_slice(slice_id)) is not None), default=None)
    for stale in stale_parts:
        by_slice.setdefault(stale.run_slice, []).append(stale)
    last = max(by_slice, default=None)
    return [
        StaleSlice(
            slice_id,
            frozenset(task for stale in parts for task in _tasks_of(plan, stale)),
            tuple(sorted({stale.part.table for stale in parts})),
            is_newest=newest is not None and date_of_slice(slice_id) == newest,
            is_last=slice_id == last,
        )
        for slice_id, parts in sorted(by_slice.items())
    ]


def whole_run(plan: Plan, date: datetime) -> StaleSlice:
    """Return the slice of a logical date with all tasks of the pipeline."""
    return StaleSlice(
        slice_id_of(date), frozenset(task.task_id for task in plan.tasks), (), is_newest=True, is_last=True
    )


def still_stale(plan: Plan, slices: Mapping[str, Iterable[str]]) -> list[StalePart]:
    """
    Return the slices that a run has named as stale, without those that have been computed again since.

    :param slices: Table -> its slices.
    """
    named = {(table, slice_id) for table, names in slices.items() for slice_id in names}
    if not named:
        return []
    stale_parts = in_child(_stale_in, plan.storage, {slice_id for _, slice_id in named})
    return [stale for stale in stale_parts if (stale.part.table, stale.part.slice or ALL) in named]


def tasks_to_repeat(plan: Plan, stale: StaleSlice) -> set[str]:
    """
    Return the tasks that compute stale tables, and the tasks after them.

    Models are repeated only by the newest date. A release is repeated by the last slice, or by the newest date if its
    rows are selected by the date of the run.
    """
    left_out = frozenset() if stale.is_newest else _MODELS
    if not stale.is_newest and (not stale.is_last or any(map(_selects_by_date, plan.tasks))):
        left_out |= _RELEASES
    repeated = set(stale.tasks)
    for task in plan.tasks:  # each after its upstream tasks
        if task.uses not in left_out and not task.cleans_up and not repeated.isdisjoint(task.upstream):
            repeated.add(task.task_id)
    return repeated


def _selects_by_date(task: TaskPlan) -> bool:
    """Return True if a step of a release selects its rows by a template, which may name the date of the run."""
    destinations = task.arguments.get("to")
    places = [task.arguments, *(destinations if isinstance(destinations, list) else [])]
    return task.uses in _RELEASES and any("{{" in str(place.get("where", "")) for place in places)


def _tasks_of(plan: Plan, stale: StalePart) -> list[str]:
    """Return the tasks that write the table; if none names it, the task that wrote it."""
    names = {task.task_id for task in plan.tasks}
    recorded = [name for name in (stale.task, stale.task.rpartition(".")[0]) if name in names]
    return writers_of(plan, stale.part.table) or recorded[:1]


def writers_of(plan: Plan, table: str) -> list[str]:
    """Return the tasks whose `target` is a table."""
    return [task.task_id for task in plan.tasks if target_table(task) == table]


def _stale(storage: Lake, pipeline: str) -> tuple[list[StalePart], list[str]]:
    lake = connected(storage)
    lineage = Lineage(lake, open_tables(lake))
    return lineage.stale(pipeline=pipeline), lineage.run_slices(pipeline)


def _stale_in(storage: Lake, slices: Collection[str]) -> list[StalePart]:
    lake = connected(storage)
    return Lineage(lake, open_tables(lake)).stale_in(slices)


def in_child(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own. Tables start threads, and this process forks one for each task."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(function, *arguments).result()
