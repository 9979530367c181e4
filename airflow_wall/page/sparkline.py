"""Small charts as SVG, with a text for screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT, MARGIN = 96, 22, 2


def sparkline(values: Sequence[float | None], label: str) -> Markup:
    """
    Return a line of values, the oldest first; empty if there are fewer than two.

    :param label: What the values are, for the text.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)

    def point(index: int, value: float) -> str:
        y = HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN)
        return f"{MARGIN + index * step:.0f},{y:.1f}"

    points = [point(index, value) for index, value in enumerate(values) if value is not None]
    x, _, y = points[-1].partition(",")
    text = f"{label}: {len(known)} values, from {low:,.6g} to {high:,.6g}, the last one {known[-1]:,.6g}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" role="img" aria-label="{text}"><title>{text}</title>'
        '<polyline points="{points}"/><circle cx="{x}" cy="{y}" r="2"/></svg>'
    ).format(w=WIDTH, h=HEIGHT, text=text, points=" ".join(points), x=x, y=y)
