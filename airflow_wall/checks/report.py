"""Render a report as JSON, as a table for the log and as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from airflow_wall.checks.base import Report, Result

_WORDS = {"pass": "passed", "warn": "warned", "fail": "failed"}
_CELL = 48


def summary(report: Report) -> str:
    """Return the counts of a report, e.g. `9 passed, 1 warned, 0 failed`."""
    return ", ".join(f"{report.count(status)} {word}" for status, word in _WORDS.items())  # type: ignore[arg-type]  # keys of a literal dict


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "about": dict(report.about),
        "now": report.now,
        "rows": report.rows,
        "earlier_rows": report.earlier_rows,
        "passed": report.count("pass"),
        "warned": report.count("warn"),
        "failed": report.count("fail"),
        "results": [{**asdict(result), "status": result.status} for result in report.results],
    }


def to_text(report: Report) -> str:
    """Return the report as a table for a terminal or a log, readable without colour."""
    rows = [("", "check", "over", "observed", "expected")]
    rows += [(result.status, result.name, result.over, result.observed, result.expected) for result in report.results]
    cut = [tuple(_cut(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in cut) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cut]
    return "\n".join([*lines, f"{report.rows:,} rows: {summary(report)}"])


def failures_text(results: Sequence[Result]) -> str:
    """Return the failed checks in full, one line each: observed, expected, and details that help to find the cause."""
    lines = []
    for result in results:
        detail = f"\n      {result.detail}" if result.detail else ""
        lines.append(f"  {result.name}: {result.observed}; expected {result.expected}{detail}")
    return "\n".join(lines)


def to_html(report: Report) -> str:
    """Return the report as one HTML page without scripts and external links."""
    verdict = "fail" if report.failures else "warn" if report.count("warn") else "pass"
    about = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in report.about.items())
    order = {"fail": 0, "warn": 1, "pass": 2}
    rows = "".join(_row(result) for result in sorted(report.results, key=lambda result: order[result.status]))
    title = report.about.get("table", "checks")
    return _PAGE.format(
        title=_text(title),
        verdict=verdict,
        word=_WORDS[verdict],
        summary=_text(summary(report)),
        about=about,
        size=f"{report.rows:,} rows checked; {report.earlier_rows:,} rows of earlier slices to compare with",
        rows=rows,
    )


def _row(result: Result) -> str:
    detail = f"<p>{_text(result.detail)}</p>" if result.detail else ""
    return (
        f'<tr><td><b class="{result.status}">{_WORDS[result.status]}</b></td><td>{_text(result.name)}{detail}</td>'
        f"<td>{result.over}</td><td>{_text(result.observed)}</td><td>{_text(result.expected)}</td></tr>\n"
    )


def _text(value: str) -> str:
    return html.escape(str(value))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {word}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
  h1 {{ font-size: 1.4rem; }}
  dl {{ display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; }}
  dt {{ opacity: .7; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
  table {{ border-collapse: collapse; width: 100%; margin-top: 1rem; }}
  th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8886; }}
  td {{ overflow-wrap: anywhere; }}
  td p {{ margin: .2rem 0 0; opacity: .8; font-size: .9em; }}
  b {{ padding: .1rem .5rem; border-radius: .3rem; color: #fff; white-space: nowrap; }}
  .pass {{ background: #18703c; }} .warn {{ background: #8a5a00; }} .fail {{ background: #b3261e; }}
</style>
<h1>{title} <b class="{verdict}">{word}</b></h1>
<dl>{about}</dl>
<p>{size}. <strong>{summary}.</strong></p>
<table>
<thead><tr><th>result</th><th>check</th><th>over</th><th>observed</th><th>expected</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</html>
"""
