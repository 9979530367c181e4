"""`airflow-wall graph`: the DAG as a picture."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.layers import Layout, lay_out
from airflow_wall.cli.output import out
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.planner import plan_all
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.spec.steps.table import STEPS

_GAP_X, _GAP_Y, _HEIGHT, _CHARACTER = 28, 46, 34, 7.3
_FILL = {"start": "#d9ead3", "stop": "#f4cccc", "other": "#eef4f8", "foreign": "#f3f3f3"}


def graph(
    file: Annotated[Path, typer.Argument(help="The pipeline, a YAML file.", exists=True, dir_okay=False)],
    svg: Annotated[Path | None, typer.Option(help="Draw into this SVG file instead of the terminal.")] = None,
    env: Annotated[str | None, typer.Option(help="Which of the file's environments is in force.")] = None,
) -> None:
    """
    Draw a pipeline: tasks from top to bottom, each below what it needs.

    Dashed lines are the ones Airflow adds between what is opened and what closes it.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    for made in plan_all(load_specs(file, settings), settings):
        if svg is None:
            out().print(draw_text(made))
        else:
            svg.write_text(draw_svg(made), encoding="utf-8")
            out().print(f"{made.dag_id}: {len(made.tasks)} tasks drawn into {svg}")


def draw_text(made: Plan) -> str:
    """The graph as text: a row of boxes per layer, and below it which tasks its edges lead to."""
    layout = lay_out(made)
    lines = [f"{made.dag_id}: {len(made.tasks)} tasks, {len(layout.edges)} edges", ""]
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
    """One arrow under each box, with names only where the edge does not simply lead to the next layer as a whole."""
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


def draw_svg(made: Plan) -> str:
    """The graph as an SVG picture, readable on its own."""
    layout = lay_out(made)
    widths = {task.task_id: len(task.task_id) * _CHARACTER + 24 for task in made.tasks}
    rows = [sum(widths[task_id] for task_id in layer) + _GAP_X * (len(layer) - 1) for layer in layout.layers]
    width = max(rows) + 6 * _GAP_X
    height = len(layout.layers) * (_HEIGHT + _GAP_Y) + _GAP_Y
    places: dict[str, tuple[float, float]] = {}
    for number, layer in enumerate(layout.layers):
        x, y = (width - rows[number]) / 2, _GAP_Y + number * (_HEIGHT + _GAP_Y)
        for task_id in layer:
            places[task_id] = (x, y)
            x += widths[task_id] + _GAP_X
    added = {(task.closes, task.task_id) for task in made.tasks if task.closes and task.closes not in task.upstream}
    rights = [(width + row) / 2 for row in rows]
    layer_of = layout.layer_of
    parts = []
    for edge in layout.edges:
        passed = rights[layer_of[edge[0]] : layer_of[edge[1]] + 1]
        parts.append(_edge(places, widths, edge, around=max(passed) + _GAP_X if edge in added else None))
    parts += [_box(task.task_id, task.uses, places, widths) for task in made.tasks]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, Consolas, monospace" font-size="12">\n'
        f"<title>{escape(made.dag_id)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#667"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _edge(
    places: dict[str, tuple[float, float]], widths: dict[str, float], edge: tuple[str, str], *, around: float | None
) -> str:
    """One edge; with `around` it is dashed and passes to the right of that x, around what lies between."""
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
