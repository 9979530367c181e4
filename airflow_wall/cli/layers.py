"""Lay a plan out in layers: each task below all that it needs, crossings kept few."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_wall.compiler.plan import Plan


@dataclass(frozen=True)
class Layout:
    """
    :param layers: Task ids, one list per layer.
    :param edges: (from, to), with the edge that Airflow adds from what is opened to what closes it.
    """

    layers: list[list[str]]
    edges: list[tuple[str, str]]

    @property
    def layer_of(self) -> dict[str, int]:
        """Task id to the number of its layer, from 0."""
        return {task_id: number for number, layer in enumerate(self.layers) for task_id in layer}


def lay_out(plan: Plan) -> Layout:
    """Place every task of a plan. The same plan gives the same layout."""
    edges = [(other, task.task_id) for task in plan.tasks for other in task.upstream]
    edges += [(task.closes, task.task_id) for task in plan.tasks if task.closes and task.closes not in task.upstream]
    depth: dict[str, int] = {}
    for task in plan.tasks:  # the plan has them in topological order
        depth[task.task_id] = 1 + max(
            (depth[first] for first, second in edges if second == task.task_id and first in depth), default=-1
        )
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for task_id in sorted(depth):
        layers[depth[task_id]].append(task_id)
    _untangle(layers, edges)
    return Layout(layers, edges)


def _untangle(layers: list[list[str]], edges: list[tuple[str, str]]) -> None:
    """Order each layer by where the tasks before it stand (the barycentre heuristic)."""
    for number in range(1, len(layers)):
        place = {
            task_id: index / max(1, len(layer) - 1) for layer in layers[:number] for index, task_id in enumerate(layer)
        }

        def centre(task_id: str, place: dict[str, float] = place) -> float:
            before = [place[first] for first, second in edges if second == task_id and first in place]
            return sum(before) / len(before) if before else 0.5

        layers[number].sort(key=lambda task_id: (centre(task_id), task_id))
