"""Find tables that two tasks of a pipeline, or of several pipelines, would write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.planner.table_reads import target_table
from airflow_wall.text.places import Places

if TYPE_CHECKING:
    from airflow_wall.planner.plan import Plan, TaskPlan

_HINT = "write another table; or `share: true` in all of these tasks, if their rows belong together"
_LISTED = 5


@dataclass(frozen=True)
class TableWriter:
    """
    A task that writes a table.

    :param lake: Absolute path of the lake.
    :param pipeline: The pipeline of the task.
    :param fault: A fault at its `target`, whose message is only the key.
    """

    lake: str
    table: str
    pipeline: str
    task: str
    share: bool
    fault: Fault


def table_writers(plan: Plan) -> Iterator[TableWriter]:
    """Yield the tasks of a pipeline that write a table which is known when the file is read."""
    for task, table in _targets(plan.tasks):
        share = bool(task.arguments.get("share"))
        fault = plan.places.fault((*task.loc, "with", "target"), "")
        yield TableWriter(str(plan.storage), table, plan.dag_id, task.task_id, share, fault)


def conflicts_of_tasks(tasks: Mapping[str, TaskPlan], places: Places) -> Iterator[Fault]:
    """Yield the faults of tasks of one pipeline that write one table without sharing it."""
    by_table: dict[str, list[TaskPlan]] = defaultdict(list)
    for task, table in _targets(tasks.values()):
        by_table[table].append(task)
        if "expand" in task.mapped and not task.arguments.get("share"):
            message = f"is `{table}` for every instance of the task, and each would replace the rows of the others"
            hint = "map `target` too, or write `share: true`"
            yield places.fault((*task.loc, "with", "target"), message, hint)
    for table, writers in by_table.items():
        if len(writers) > 1 and not all(task.arguments.get("share") for task in writers):
            yield _conflict(table, writers, places)


def conflicts_of_pipelines(writers: Iterable[TableWriter]) -> dict[Path, list[Fault]]:
    """Return the faults of files with a task that writes a table of another pipeline without sharing it."""
    by_table: dict[tuple[str, str], list[TableWriter]] = defaultdict(list)
    for writer in writers:
        by_table[writer.lake, writer.table].append(writer)
    faults: dict[Path, list[Fault]] = defaultdict(list)
    for (_, table), group in by_table.items():
        first = group[0]
        for writer in group[1:]:
            is_same = (writer.fault.path, writer.pipeline) == (first.fault.path, first.pipeline)
            if not is_same and not (first.share and writer.share):
                other = f"task `{first.task}` of `{first.pipeline}` ({first.fault.path}:{first.fault.place.line})"
                message = f"{writer.fault.message.strip()} is `{table}`, which {other} writes, too"
                faults[writer.fault.path].append(replace(writer.fault, message=message, hint=_HINT))
    return faults


def _conflict(table: str, writers: list[TaskPlan], places: Places) -> Fault:
    first = next((task for task in writers[1:] if task.loc != writers[0].loc), None)
    if first is None:
        first = writers[0]
        message = f"is `{table}` for {listed([task.task_id for task in writers], _LISTED)}, which a matrix repeats"
        hint = "name it by a value of the matrix; or write `share: true`, if the rows belong together"
    else:
        others = [task.task_id for task in writers if task is not first]
        message = f"is `{table}`, which {listed(others, _LISTED)} {'write' if len(others) > 1 else 'writes'}, too"
        hint = _HINT
    return places.fault((*first.loc, "with", "target"), message, hint)


def _targets(tasks: Iterable[TaskPlan]) -> Iterator[tuple[TaskPlan, str]]:
    for task in tasks:
        table = target_table(task)
        if table is not None:
            yield task, table
