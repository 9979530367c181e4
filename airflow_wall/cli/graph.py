"""`airflow-wall graph`: draw the DAG as text or SVG."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.listing import AsJson, print_json
from airflow_wall.cli.output import no_pipeline, out, write_file
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.language.step_registry import STEPS
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings

_GAP_X, _GAP_Y, _HEIGHT, _CHARACTER = 28, 46, 34, 7.3
_FILL = {"start": "#d9ead3", "stop": "#f4cccc", "other": "#eef4f8", "foreign": "#f3f3f3"}


def graph(
    file: Annotated[Path, typer.Argument(help="The pipeline, a YAML file.", exists=True, dir_okay=False)],
    svg: Annotated[Path | None, typer.Option(help="Draw into this SVG file instead of the terminal.")] = None,
    env: Annotated[str | None, typer.Option(help="Which of the file's environments is in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """
    Draw a pipeline: tasks from top to bottom, each below what it needs.

    Dashed lines are the edges that Airflow adds between a setup and its teardown.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    plans = plan_all(load_specs(file, settings), settings)
    if not plans:
        raise no_pipeline(file, settings)
    if as_json:
        print_json(pipelines=[_as_json(planned) for planned in plans])
    for planned in plans:
        if svg is None and as_json:
            continue
        if svg is None:
            out().print(draw_text(planned))
        else:
            write_file(svg, draw_svg(planned))
            out().print(
                f"{planned.dag_id}: {counted(len(planned.tasks), 'task')} drawn into {printable_line(str(svg))}"
            )


def _as_json(planned: Plan) -> dict[str, Any]:
    tasks = [{"id": task.task_id, "uses": task.uses, "needs": list(task.upstream)} for task in planned.tasks]
    return {"dag_id": planned.dag_id, "tasks": tasks, "edges": [list(edge) for edge in lay_out(planned).edges]}


def draw_text(planned: Plan) -> str:
    """Return the graph as text: a row of boxes per layer, with the targets of its edges below."""
    layout = lay_out(planned)
    lines = [f"{planned.dag_id}: {counted(len(planned.tasks), 'task')}, {counted(len(layout.edges), 'edge')}", ""]
    for number, layer in enumerate(layout.layers):
        lines += _boxes(layer)
        if number + 1 < len(layout.layers):
            lines += _arrows(layer, layout)
    return "\n".join(lines)


def _boxes(layer: list[str]) -> list[str]:
    top = "  ".join(f"┌─{'─' * len(task_id)}─┐" for task_id in layer)
    middle = "  ".join(f"│ {task_id} │" for task_id in layer)
    bottom = "  ".join(f"└─{'─' * len(task_id)}─┘" for task_id in layer)
    return [top, middle, bottom]


def _arrows(layer: list[str], layout: Layout) -> list[str]:
    """Return one arrow below each box, and the names of targets that the layout alone does not show."""
    layer_of = layout.layer_of
    below = layer_of[layer[0]] + 1
    rows = ["  ".join("▼".center(len(task_id) + 4) for task_id in layer)]
    for task_id in layer:
        far = sorted(second for first, second in layout.edges if first == task_id and layer_of[second] > below)
        near = [second for first, second in layout.edges if first == task_id and layer_of[second] == below]
        if far:
            rows.append(f"  {task_id} ┄▶ {', '.join(far)}")
        if len(near) == 1 and len(layer) > 1 and len(layout.layers[below]) > 1:
            rows.append(f"  {task_id} ─▶ {near[0]}")
    return rows


def draw_svg(planned: Plan) -> str:
    """Return the graph as a standalone SVG image."""
    layout = lay_out(planned)
    widths = {task.task_id: len(task.task_id) * _CHARACTER + 24 for task in planned.tasks}
    rows = [sum(widths[task_id] for task_id in layer) + _GAP_X * (len(layer) - 1) for layer in layout.layers]
    width = max(rows) + 6 * _GAP_X
    height = len(layout.layers) * (_HEIGHT + _GAP_Y) + _GAP_Y
    places: dict[str, tuple[float, float]] = {}
    for number, layer in enumerate(layout.layers):
        x, y = (width - rows[number]) / 2, _GAP_Y + number * (_HEIGHT + _GAP_Y)
        for task_id in layer:
            places[task_id] = (x, y)
            x += widths[task_id] + _GAP_X
    added = {(task.closes, task.task_id) for task in planned.tasks if task.closes and task.closes not in task.upstream}
    rights = [(width + row) / 2 for row in rows]
    layer_of = layout.layer_of
    parts = []
    for edge in layout.edges:
        passed = rights[layer_of[edge[0]] : layer_of[edge[1]] + 1]
        parts.append(_edge(places, widths, edge, around=max(passed) + _GAP_X if edge in added else None))
    parts += [_box(task.task_id, task.uses, places, widths) for task in planned.tasks]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, Consolas, monospace" font-size="12">\n'
        f"<title>{escape(planned.dag_id)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#667"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _edge(
    places: dict[str, tuple[float, float]], widths: dict[str, float], edge: tuple[str, str], *, around: float | None
) -> str:
    """Return the SVG of one edge; with `around` it is dashed and passes to the right of that x, around other boxes."""
    first, second = edge
    (x1, y1), (x2, y2) = places[first], places[second]
    if around is not None:
        x1, y1, x2, y2 = x1 + widths[first], y1 + _HEIGHT / 2, x2 + widths[second], y2 + _HEIGHT / 2
        bow = (8 * around - x1 - x2) / 6  # the middle of the curve is then at `around`
        path = f"M{x1:.1f} {y1:.1f} C{bow:.1f} {y1:.1f} {bow:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    else:
        x1, y1, x2 = x1 + widths[first] / 2, y1 + _HEIGHT, x2 + widths[second] / 2
        bend = (y2 - y1) / 2
        path = f"M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    style = ' stroke-dasharray="4 4"' if around is not None else ""
    return f'<path d="{path}" fill="none" stroke="#667"{style} marker-end="url(#tip)"/>'


def _box(task_id: str, uses: str, places: dict[str, tuple[float, float]], widths: dict[str, float]) -> str:
    (x, y), width = places[task_id], widths[task_id]
    kind = "foreign" if uses not in STEPS else uses.split("_")[0]
    fill = _FILL.get(kind, _FILL["other"])
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#667"'
    label = f'x="{x + width / 2:.1f}" y="{y + _HEIGHT / 2 + 4:.1f}" text-anchor="middle"'
    return f"<g><title>{escape(uses)}</title><rect {shape}/><text {label}>{escape(task_id)}</text></g>"


@dataclass(frozen=True)
class Layout:
    """
    The layout of a graph.

    :param layers: Task ids, one list per layer.
    :param edges: (from, to), including the edges that Airflow adds from a setup to its teardown.
    """

    layers: list[list[str]]
    edges: list[tuple[str, str]]

    @property
    def layer_of(self) -> dict[str, int]:
        """Task id to the index of its layer, from 0."""
        return {task_id: number for number, layer in enumerate(self.layers) for task_id in layer}


def lay_out(plan: Plan) -> Layout:
    """Return the layout of a plan. The same plan always gives the same layout."""
    edges = [(other, task.task_id) for task in plan.tasks for other in task.upstream]
    edges += [(task.closes, task.task_id) for task in plan.tasks if task.closes and task.closes not in task.upstream]
    depth: dict[str, int] = {}
    for task in plan.tasks:  # in topological order
        depth[task.task_id] = 1 + max(
            (depth[first] for first, second in edges if second == task.task_id and first in depth), default=-1
        )
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for task_id in sorted(depth):
        layers[depth[task_id]].append(task_id)
    _untangle(layers, edges)
    return Layout(layers, edges)


def _untangle(layers: list[list[str]], edges: list[tuple[str, str]]) -> None:
    """Order each layer by the positions of its upstream tasks (the barycentre heuristic)."""
    for number in range(1, len(layers)):
        place = {
            task_id: index / max(1, len(layer) - 1) for layer in layers[:number] for index, task_id in enumerate(layer)
        }

        def centre(task_id: str, place: dict[str, float] = place) -> float:
            before = [place[first] for first, second in edges if second == task_id and first in place]
            return sum(before) / len(before) if before else 0.5

        layers[number].sort(key=lambda task_id: (centre(task_id), task_id))
