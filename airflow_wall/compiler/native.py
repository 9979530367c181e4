"""Plan a document in Airflow's own format: ids are whole, there are no groups, and nothing is added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_wall.compiler.order import ordered
from airflow_wall.compiler.plan import EMPTY, Plan, TaskPlan
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Spec
from airflow_wall.spec.markers import XComRef
from airflow_wall.spec.native import NativePipeline, NativeTask
from airflow_wall.text.faults import Fault, FaultyText, Loc, Place, suggestion


def plan_native(spec: Spec, pipeline: NativePipeline, settings: Settings) -> Plan:
    """
    Plan one document.

    :raises FaultyText: every fault: those of its text, two tasks of one id, names that mean nothing, a cycle.
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
        storage=project / "lake",
        project=project,
        code=spec.path.absolute().parent,
        environment=None,
        text=spec.document.text,
        places=spec.places,
        warnings=spec.warnings,
        is_native=True,
    )


def _planned(task: NativeTask, upstream: Mapping[str, Loc], place: Place) -> TaskPlan:
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
    """Ids of the tasks before one, by `needs` and by `$x`, to where it names them."""
    found: dict[str, Loc] = {}
    given = {"with": task.arguments, "run": task.run or {}}
    for name, loc in [*task.needs, *_named(given, task.loc)]:
        if name == task.id:
            faults.append(spec.places.fault(loc, f"names `{name}`, which is the task itself", "remove it"))
        elif name not in tasks:
            hint = suggestion(name, tasks, what="tasks")
            faults.append(spec.places.fault(loc, f"names `{name}`, but there is no such task", hint))
        else:
            found.setdefault(name, loc)
    return found


def _named(value: Any, loc: Loc) -> Iterator[tuple[str, Loc]]:
    """The tasks that `$x` names, each with where it does."""
    if isinstance(value, XComRef):
        yield value.task, loc
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _named(each, (*loc, key))
