"""The order in which tasks can be built and run: each after those before it."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow_wall.text.faults import Fault, Place


def ordered(upstream: Mapping[str, Iterable[str]], places: Mapping[str, Place], path: Path) -> list[str] | Fault:
    """
    The tasks, each after all before it; or the fault that some wait for each other.

    :param upstream: Task to the tasks before it, in an order that is always the same.
    :param places: Where the tasks stand in the file `path`.
    """
    try:
        return list(graphlib.TopologicalSorter(upstream).static_order())
    except graphlib.CycleError as error:
        cycle = list(reversed(error.args[1]))
        circle = " -> ".join(f"`{task_id}`" for task_id in cycle)
        message = f"tasks wait for each other in a circle: {circle}"
        return Fault(path, places[cycle[0]], message, "remove one of these `needs`")
