"""Plan a document in Airflow's own format: ids are full ids, there are no groups, and no defaults are added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc, SourcePosition
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.language.document import Spec
from airflow_wall.language.markers import XComRef
from airflow_wall.language.native import NativePipeline, NativeTask
from airflow_wall.planner.order import ordered
from airflow_wall.planner.plan import EMPTY, Plan, TaskPlan
from airflow_wall.settings import DEFAULT_STORAGE, Settings


def plan_native(spec: Spec, pipeline: NativePipeline, settings: Settings) -> Plan:
    """
    Plan one document.

    :raises FaultyText: with every fault: those of its text, duplicate ids, names of missing tasks, a cycle.
    """
    faults = list(spec.faults)
    tasks: dict[str, NativeTask] = {}
    for task in pipeline.tasks:
        if task.id in tasks:
            line = spec.places.place((*tasks[task.id].loc, "id")).line
            message = f"is `{task.id}`, which is taken on line {line}"
            faults.append(spec.places.fault((*task.loc, "id"), message, "give it another id"))
        tasks.setdefault(task.id, task)
    upstream = {task.id: _upstream(task, tasks, spec, faults) for task in tasks.values()}
    places = {task.id: spec.places.place(task.loc) for task in tasks.values()}
    order = ordered({task_id: sorted(others) for task_id, others in upstream.items()}, places, spec.path)
    if isinstance(order, Fault):
        faults.append(order)
    if faults or isinstance(order, Fault):
        raise FaultyText(faults, spec.document.text)
    project = settings.project_of(spec.path)
    return Plan(
        dag_id=spec.head.dag_id,
        path=spec.path,
        place=spec.places.place(("dag_id",)),
        arguments={**pipeline.arguments, "schedule": pipeline.schedule},
        default_args={},
        timezone="UTC",
        groups=(),
        tasks=tuple(_planned(tasks[task_id], upstream[task_id], places[task_id]) for task_id in order),
        storage=Lake(address_of(DEFAULT_STORAGE, project)),
        project=project,
        code=spec.path.absolute().parent,
        environment=None,
        text=spec.document.text,
        places=spec.places,
        warnings=spec.warnings,
        is_native=True,
        allowed_connections=settings.connections_in_force,
    )


def _planned(task: NativeTask, upstream: Mapping[str, Loc], place: SourcePosition) -> TaskPlan:
    return TaskPlan(
        task_id=task.id,
        uses=task.uses or EMPTY,
        arguments=task.arguments,
        settings=task.settings,
        upstream=tuple(sorted(upstream)),
        group=None,
        closes=None,
        place=place,
        loc=task.loc,
        run=task.run,
    )


def _upstream(task: NativeTask, tasks: Mapping[str, NativeTask], spec: Spec, faults: list[Fault]) -> dict[str, Loc]:
    """Return the upstream tasks, from `needs` and `$x`: id to the position that names it."""
    upstream: dict[str, Loc] = {}
    values = {"with": task.arguments, "run": task.run or {}}
    for name, loc in [*task.needs, *_xcom_refs(values, task.loc)]:
        if name == task.id:
            faults.append(spec.places.fault(loc, f"names `{name}`, which is the task itself", "remove it"))
        elif name not in tasks:
            hint = suggestion(name, tasks, what="tasks")
            faults.append(spec.places.fault(loc, f"names `{name}`, but there is no such task", hint))
        else:
            upstream.setdefault(name, loc)
    return upstream


def _xcom_refs(value: Any, loc: Loc) -> Iterator[tuple[str, Loc]]:
    """Yield the tasks that `$x` names, each with its position."""
    if isinstance(value, XComRef):
        yield value.task, loc
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _xcom_refs(item, (*loc, key))
