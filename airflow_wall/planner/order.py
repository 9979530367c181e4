"""The order in which tasks can be built and run: each task after its upstream tasks."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_wall.diagnostics.faults import Fault, SourcePosition


def ordered(
    upstream: Mapping[str, Iterable[str]], places: Mapping[str, SourcePosition], path: Path
) -> list[str] | Fault:
    """
    Return the tasks in topological order, or the fault that some of them form a cycle.

    :param upstream: Task to its upstream tasks, in a stable order.
    :param places: Positions of the tasks in the file `path`.
    """
    try:
        return list(graphlib.TopologicalSorter(upstream).static_order())
    except graphlib.CycleError as error:
        cycle = list(reversed(error.args[1]))
        circle = " -> ".join(f"`{task_id}`" for task_id in cycle)
        message = f"tasks wait for each other in a circle: {circle}"
        return Fault(path, places[cycle[0]], message, "remove one of these `needs`")


def ancestors(upstream: Mapping[str, Iterable[str]], bits: Mapping[str, int]) -> dict[str, int]:
    """
    Return the ancestors of each task as a bit set: task id to the sum of the ancestors' `bits`.

    Sets of names would take seconds for a thousand tasks that depend on each other.

    :param upstream: Task to its direct upstream tasks, in topological order.
    """
    before: dict[str, int] = {}
    for task_id, others in upstream.items():
        before[task_id] = 0
        for other in others:
            before[task_id] |= bits[other] | before[other]
    return before
