"""Pairs in a plan: what is opened is there while it is used, and is closed."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_wall.spec.clusters import KINDS
from airflow_wall.spec.environment import KEYS
from airflow_wall.spec.steps.table import CLOSERS, STEPS
from airflow_wall.text.faults import Fault, Loc, listed
from airflow_wall.text.places import Places

if TYPE_CHECKING:
    from airflow_wall.compiler.plan import TaskPlan

_LISTED = 5  # of a hundred names a reader wants the first few


def pair_faults(
    tasks: Mapping[str, TaskPlan], places: Places, *, complete: bool, unsure: Collection[str]
) -> list[Fault]:
    """
    What is wrong with the pairs of a pipeline whose graph has no cycle.

    :param tasks: Its tasks, each after those before it.
    :param places: Where its values stand, for the faults.
    :param complete: Whether all its tasks are without fault; else a closer that seems missing may be one with a fault.
    :param unsure: Tasks of which it is not known what they wait for, because that has a fault.
    """
    closers: dict[str, TaskPlan] = {}
    faults = list(_closed_twice(tasks, closers))
    if complete:
        faults += _left_open(tasks, closers)
    faults += _out_of_order(tasks, closers, unsure)
    faults += _not_there(tasks)
    return [places.fault((*task.loc, *inner), message, hint) for task, inner, message, hint in faults]


_Found = Iterator[tuple["TaskPlan", Loc, str, str]]


def _closed_twice(tasks: Mapping[str, TaskPlan], closers: dict[str, TaskPlan]) -> _Found:
    """Fill `closers` with what is opened and the one task that closes it."""
    for task in tasks.values():
        if task.closes in closers:
            message = f"closes `{task.closes}`, which `{closers[task.closes].task_id}` closes too"
            yield task, (), message, "remove one of them"
        elif task.closes:
            closers[task.closes] = task


def _left_open(tasks: Mapping[str, TaskPlan], closers: Mapping[str, TaskPlan]) -> _Found:
    for task in tasks.values():
        closer = CLOSERS.get(task.uses)
        if closer and task.task_id not in closers:
            message = f"is opened, and nothing closes it: no `{closer}` task names it"
            yield task, (), message, f"add a task with `uses: {closer}` after all that use it"


def _out_of_order(tasks: Mapping[str, TaskPlan], closers: Mapping[str, TaskPlan], unsure: Collection[str]) -> _Found:
    """Users before what opens, or after what closes; of tasks behind one that is unsure nothing is known."""
    bits = {task_id: 1 << place for place, task_id in enumerate(tasks)}
    before = _ancestors(tasks, bits)
    hidden = sum(bits[task_id] for task_id in unsure)
    known = {task_id for task_id in tasks if not (bits[task_id] | before[task_id]) & hidden}
    unfinished: dict[str, list[str]] = {}
    for task, field, opener in _users(tasks):
        closer = closers.get(opener)
        if task.task_id in known and closer is not None and bits[closer.task_id] & before[task.task_id]:
            message = f"uses `{opener}`, which `{closer.task_id}` closes before it"
            yield task, ("with", field), message, f"remove `{field}`, or have `{closer.task_id}` wait for it"
            continue
        if task.task_id in known and not bits[opener] & before[task.task_id]:
            message = f"uses `{opener}`, which does not come before it"
            yield task, ("with", field), message, f"add `needs: {opener}`"
        if closer is not None and closer.task_id in known and not bits[task.task_id] & before[closer.task_id]:
            unfinished.setdefault(opener, []).append(task.task_id)
    for opener, closer in closers.items():
        if opener in unfinished:
            users = unfinished[opener]
            waited_for = functools.reduce(operator.or_, (before[user] for user in users))
            last = [user for user in users if not bits[user] & waited_for]  # who waits for these waits for all
            names = listed(last, _LISTED)
            message = f"closes `{opener}`, but does not wait for {names}, which use{'s' * (len(last) == 1)} it"
            group = ", or a group they are in" if len(last) > 1 and all(tasks[user].group for user in last) else ""
            yield closer, ("needs",), message, f"add {names} to its `needs`{group}"
        elif closer.task_id in known and not bits[opener] & before[closer.task_id]:
            yield closer, ("needs",), f"closes `{opener}`, which does not come before it", f"add `needs: {opener}`"


def _users(tasks: Mapping[str, TaskPlan]) -> Iterator[tuple[TaskPlan, str, str]]:
    """Each task that uses what another opens, the field that says so, and the other."""
    for task in tasks.values():
        if task.uses not in STEPS or task.closes:
            continue
        for field in STEPS[task.uses].task_fields:
            opener = str(task.arguments.get(field))
            if opener in tasks:
                yield task, field, opener


def _not_there(tasks: Mapping[str, TaskPlan]) -> _Found:
    """Steps that ask for packages, a Python or an image on a cluster that has its own."""
    for task in tasks.values():
        opener = tasks.get(str(task.arguments.get("cluster")))
        cluster = opener.arguments.get("cluster") if opener is not None else None
        if not isinstance(cluster, Mapping):
            continue
        known = getattr(KINDS.get(str(cluster.get("type"))), "environments", KEYS)  # of other packages: when it runs
        for key in (key for key in KEYS if task.arguments.get(key) and key not in known):
            message = f"names a cluster of type `{cluster['type']}`, where `{key}` cannot be had"
            hint = f"write `{key}: null` here, and install on the cluster what the step needs; or remove `cluster`"
            yield task, ("with", "cluster"), message, hint


def setup_faults(tasks: Mapping[str, TaskPlan], places: Places, default: str) -> list[Fault]:
    """
    Tasks right after a setup that would run without it: Airflow takes no such DAG.

    :param default: The trigger rule of tasks that say none.
    """
    setups = {task_id for task in tasks.values() for task_id in (*(task.teardown or ()), task.closes) if task_id}
    setups |= {task.task_id for task in tasks.values() if task.setup}
    faults = []
    for task in tasks.values():
        rule = task.settings.get("trigger_rule", default)
        before = next((task_id for task_id in task.upstream if task_id in setups), None)
        if before is None or rule == "all_success" or task.teardown is not None or task.closes:
            continue
        message = f"must be `all_success` right after `{before}`, which sets something up, got `{rule}`"
        faults.append(places.fault((*task.loc, "trigger_rule"), message, "put a task between the two"))
    return faults


def _ancestors(tasks: Mapping[str, TaskPlan], bits: Mapping[str, int]) -> dict[str, int]:
    """
    Every task that comes before each task, as a number made of their bits.

    Sets of names would take seconds for a thousand tasks that all wait for each other.
    """
    found: dict[str, int] = {}
    for task_id, task in tasks.items():
        before = 0
        for other in task.upstream:
            before |= bits[other] | found[other]
        found[task_id] = before
    return found
