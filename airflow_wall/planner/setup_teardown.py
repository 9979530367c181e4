"""Check pairs of setup and teardown tasks: users run in between, and every setup has a teardown."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.language.cluster_registry import CLUSTERS
from airflow_wall.language.environment import KEYS
from airflow_wall.language.step_registry import STEPS, closer_of
from airflow_wall.planner.order import ancestors
from airflow_wall.text.places import Places

if TYPE_CHECKING:
    from airflow_wall.planner.plan import TaskPlan

_LISTED = 5  # a reader wants only the first few of a hundred names


def pair_faults(
    tasks: Mapping[str, TaskPlan], places: Places, *, complete: bool, unresolved: Collection[str]
) -> list[Fault]:
    """
    Return the faults of the setup and teardown tasks of a pipeline whose graph has no cycle.

    :param tasks: Its tasks in topological order.
    :param places: Positions of its values, for the faults.
    :param complete: True if no task has a fault. Otherwise a closer that seems missing may be a task with a fault.
    :param unresolved: Tasks whose upstream could not be resolved.
    """
    closers: dict[str, TaskPlan] = {}
    faults = list(_closed_twice(tasks, closers))
    if complete:
        faults += _left_open(tasks, closers)
    faults += _out_of_order(tasks, closers, unresolved)
    faults += _unsupported_environments(tasks)
    return [places.fault((*task.loc, *inner), message, hint) for task, inner, message, hint in faults]


_Faults = Iterator[tuple["TaskPlan", Loc, str, str]]


def _closed_twice(tasks: Mapping[str, TaskPlan], closers: dict[str, TaskPlan]) -> _Faults:
    """Yield second closers of a task, and fill `closers`: id of the opener to the task that closes it."""
    for task in tasks.values():
        if task.closes in closers:
            message = f"closes `{task.closes}`, which `{closers[task.closes].task_id}` closes too"
            yield task, (), message, "remove one of them"
        elif task.closes:
            closers[task.closes] = task


def _left_open(tasks: Mapping[str, TaskPlan], closers: Mapping[str, TaskPlan]) -> _Faults:
    for task in tasks.values():
        closer = closer_of(task.uses)
        if closer and task.task_id not in closers:
            message = f"is never closed: no `{closer}` task names it"
            yield task, (), message, f"add a task with `uses: {closer}` after all tasks that use it"


def _out_of_order(
    tasks: Mapping[str, TaskPlan], closers: Mapping[str, TaskPlan], unresolved: Collection[str]
) -> _Faults:
    """Yield users before the opener or after the closer, except tasks downstream of an unresolved one."""
    bits = {task_id: 1 << place for place, task_id in enumerate(tasks)}
    before = ancestors({task_id: task.upstream for task_id, task in tasks.items()}, bits)
    hidden = sum(bits[task_id] for task_id in unresolved)
    resolved = {task_id for task_id in tasks if not (bits[task_id] | before[task_id]) & hidden}
    unfinished: dict[str, list[str]] = {}
    for task, field, opener in _users(tasks):
        closer = closers.get(opener)
        if task.task_id in resolved and closer is not None and bits[closer.task_id] & before[task.task_id]:
            message = f"uses `{opener}`, which `{closer.task_id}` closes before it"
            yield task, ("with", field), message, f"remove `{field}`, or make `{closer.task_id}` wait for it"
            continue
        if task.task_id in resolved and not bits[opener] & before[task.task_id]:
            message = f"uses `{opener}`, which does not come before it"
            yield task, ("with", field), message, f"add `needs: {opener}`"
        if closer is not None and closer.task_id in resolved and not bits[task.task_id] & before[closer.task_id]:
            unfinished.setdefault(opener, []).append(task.task_id)
    for opener, closer in closers.items():
        if opener in unfinished:
            users = unfinished[opener]
            waited_for = functools.reduce(operator.or_, (before[user] for user in users))
            last = [user for user in users if not bits[user] & waited_for]  # waiting for these means waiting for all
            names = listed(last, _LISTED)
            message = f"closes `{opener}`, but does not wait for {names}, which use{'s' * (len(last) == 1)} it"
            group = ", or a group they are in" if len(last) > 1 and all(tasks[user].group for user in last) else ""
            yield closer, ("needs",), message, f"add {names} to its `needs`{group}"
        elif closer.task_id in resolved and not bits[opener] & before[closer.task_id]:
            yield closer, ("needs",), f"closes `{opener}`, which does not come before it", f"add `needs: {opener}`"


def _users(tasks: Mapping[str, TaskPlan]) -> Iterator[tuple[TaskPlan, str, str]]:
    """Yield each task that uses an opener, the field that names the opener, and the id of the opener."""
    for task in tasks.values():
        if task.uses not in STEPS or task.closes:
            continue
        for field in STEPS[task.uses].task_fields:
            opener = str(task.arguments.get(field))
            if opener in tasks:
                yield task, field, opener


def _unsupported_environments(tasks: Mapping[str, TaskPlan]) -> _Faults:
    """Yield steps with packages, a Python or an image of their own on a cluster that does not support these."""
    for task in tasks.values():
        opener = tasks.get(str(task.arguments.get("cluster")))
        cluster = opener.arguments.get("cluster") if opener is not None else None
        if not isinstance(cluster, Mapping):
            continue
        kind = CLUSTERS.get(str(cluster.get("type")))
        supported = getattr(kind, "environments", KEYS)  # a block that does not say it is checked when the task runs
        for key in (key for key in KEYS if task.arguments.get(key) and key not in supported):
            message = f"names a cluster of type `{cluster['type']}`, which does not support `{key}`"
            hint = f"write `{key}: null` here, and install on the cluster what the step needs; or remove `cluster`"
            yield task, ("with", "cluster"), message, hint


def setup_faults(tasks: Mapping[str, TaskPlan], places: Places, default: str) -> list[Fault]:
    """
    Return the faults of tasks right after a setup that could run without it. Airflow rejects such a DAG.

    :param default: The trigger rule of tasks without one.
    """
    setups = {task_id for task in tasks.values() for task_id in (*(task.teardown or ()), task.closes) if task_id}
    setups |= {task.task_id for task in tasks.values() if task.setup}
    faults = []
    for task in tasks.values():
        rule = task.settings.get("trigger_rule", default)
        before = next((task_id for task_id in task.upstream if task_id in setups), None)
        if before is None or rule == "all_success" or task.teardown is not None or task.closes:
            continue
        message = f"must be `all_success` right after `{before}`, which is a setup, got `{rule}`"
        faults.append(places.fault((*task.loc, "trigger_rule"), message, "put a task between the two"))
    return faults
