"""The part of the report's page with charts: rows over time, and each column beside its baseline."""

from __future__ import annotations

import html
from collections.abc import Sequence

from airflow_wall.checks.profile import ColumnProfile, Profile
from airflow_wall.job import date_of_slice

_WIDTH, _HEIGHT = 240, 70
_WIDE, _TALL = 960, 120
_LABELS = 20

_MORE_NULLS = 0.05
"""Increase of the share of nulls that is marked."""


def profile_html(profile: Profile) -> str:
    """Return the charts of a profile as HTML."""
    parts = ["<h2>Rows over time</h2>", _rows_over_time(profile)]
    if profile.columns:
        against = f"the {len(profile.baseline)} slices before" if profile.baseline else "no earlier slices"
        parts.append(
            '<h2>Columns</h2><p class="key"><i class="k1"></i>this slice '
            f'<i class="k2"></i>{against}; bars are shares of the values</p><div class="columns">'
        )
        parts += map(_column, profile.columns)
        parts.append("</div>")
    return "\n".join(parts)


def _rows_over_time(profile: Profile) -> str:
    most = max(profile.rows.values(), default=0) or 1
    width = _WIDE / max(len(profile.rows), 1)
    bars = []
    for place, (slice_id, rows) in enumerate(profile.rows.items()):
        height = rows / most * (_TALL - 20)
        kind = "now" if slice_id == profile.slice else "old"
        bars.append(
            f'<rect class="{kind}" x="{place * width + 1:.1f}" y="{_TALL - 15 - height:.1f}" '
            f'width="{max(width - 2, 1):.1f}" height="{height:.1f}">'
            f"<title>{_text(_date(slice_id))}: {rows:,} rows</title></rect>"
        )
    names = list(profile.rows)
    labels = ""
    if names:
        labels = f'<text x="0" y="{_TALL - 3}">{_text(_date(names[0]))}</text>'
        labels += f'<text x="{_WIDE}" y="{_TALL - 3}" text-anchor="end">{_text(_date(names[-1]))}</text>'
    title = f"Rows of {len(names)} slices, at most {most:,}; this one has {profile.rows.get(profile.slice, 0):,}"
    labels += f'<text x="0" y="10">{most:,}</text>'
    return f'<svg viewBox="0 0 {_WIDE} {_TALL}" role="img" aria-label="{title}">{"".join(bars)}{labels}</svg>'


def _column(column: ColumnProfile) -> str:
    chart = ""
    if column.labels:
        chart = _histogram(column) if column.kind in ("integer", "float") else _frequencies(column)
    elif column.is_personal:
        chart = "<p>values are not shown: personal data</p>"
    now, before = column.nulls
    nulls = f"{_percent(now)} null" + ("" if before is None else f", before {_percent(before)}")
    alert = ' class="alert"' if before is not None and now > before + _MORE_NULLS else ""
    return (
        f'<section class="column"><h3>{_text(column.name)} <small>{_text(column.kind)}</small></h3>{chart}'
        f"<p{alert}>{nulls}</p></section>"
    )


def _histogram(column: ColumnProfile) -> str:
    """Return bars of the slice, and the outline of the baseline over them."""
    bins = len(column.labels) - 1
    most = max((*column.now, *column.before), default=0) or 1
    width, floor = _WIDTH / bins, _HEIGHT - 14
    bars = []
    for place, share in enumerate(column.now):
        height = share / most * (floor - 4)
        low, high = column.labels[place], column.labels[place + 1]
        old = f", before {_percent(column.before[place])}" if column.before else ""
        bars.append(
            f'<rect class="now" x="{place * width + 0.5:.1f}" y="{floor - height:.1f}" width="{width - 1:.1f}" '
            f'height="{height:.1f}"><title>{low:g} to {high:g}: {_percent(share)}{old}</title></rect>'
        )
    outline = _outline(column.before, most, width, floor)
    low, high = column.labels[0], column.labels[-1]
    labels = f'<text x="0" y="{_HEIGHT - 2}">{low:g}</text>'
    labels += f'<text x="{_WIDTH}" y="{_HEIGHT - 2}" text-anchor="end">{high:g}</text>'
    axis = f'<line class="base" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>'
    title = f"Histogram of {_text(column.name)} from {low:g} to {high:g}"
    content = f"{''.join(bars)}{outline}{axis}{labels}"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">{content}</svg>'


def _outline(shares: Sequence[float], most: float, width: float, floor: float) -> str:
    if not shares:
        return ""
    points = []
    for place, share in enumerate(shares):
        y = floor - share / most * (floor - 4)
        points += [f"{place * width:.1f},{y:.1f}", f"{(place + 1) * width:.1f},{y:.1f}"]
    return f'<polyline class="before" points="{" ".join(points)}"/>'


def _frequencies(column: ColumnProfile) -> str:
    """Return a bar for each frequent value, and a mark where it was before."""
    step, left = 14, 96
    height = step * len(column.labels)
    most = max((*column.now, *column.before), default=0) or 1
    bars = []
    for place, label in enumerate(column.labels):
        y = place * step
        now = column.now[place] if column.now else 0.0
        width = now / most * (_WIDTH - left)
        text = f"{_text(label)}: {_percent(now)}"
        if column.before:
            x = left + column.before[place] / most * (_WIDTH - left)
            text += f", before {_percent(column.before[place])}"
            bars.append(f'<line class="before" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + step - 1}"/>')
        short = label if len(label) <= _LABELS else f"{label[: _LABELS - 1]}…"
        bars.insert(
            0,
            f'<rect class="now" x="{left}" y="{y + 2}" width="{width:.1f}" height="{step - 4}">'
            f"<title>{text}</title></rect>"
            f'<text x="{left - 4}" y="{y + 10}" text-anchor="end">{_text(short)}</text>',
        )
    title = f"Most frequent values of {_text(column.name)}"
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}">{"".join(bars)}</svg>'


def _date(slice_id: str) -> str:
    date = date_of_slice(slice_id)
    return slice_id if date is None else f"{date:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _text(value: object) -> str:
    return html.escape(str(value))
