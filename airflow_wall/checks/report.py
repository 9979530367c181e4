"""Render a report as JSON, as a table for the log and as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from airflow_wall.checks.base import Report, Result
from airflow_wall.checks.profile_page import profile_html

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
        "profile": None if report.profile is None else asdict(report.profile),
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
    results = sorted(report.results, key=lambda result: order[result.status])
    title = report.about.get("table", "checks")
    return _PAGE.format(
        title=_text(title),
        verdict=verdict,
        word=_WORDS[verdict],
        summary=_text(summary(report)),
        about=about,
        size=f"{report.rows:,} rows checked; {report.earlier_rows:,} rows of earlier slices to compare with",
        failures="".join(map(_failure, [result for result in results if result.status != "pass"])),
        rows="".join(map(_row, results)),
        profile="" if report.profile is None else profile_html(report.profile),
    )


def _failure(result: Result) -> str:
    """Return a check that failed, with its sample rows as a table."""
    detail = f"<p><small>{_text(result.detail)}</small></p>" if result.detail else ""
    return (
        f'<section class="card {result.status}"><h3><b class="{result.status}">{_WORDS[result.status]}</b> '
        f"{_text(result.name)}</h3><p>{_text(result.observed)} <small>expected {_text(result.expected)}</small></p>"
        f"{detail}{_sample(result)}</section>\n"
    )


def _sample(result: Result) -> str:
    if not result.sample:
        return ""
    head = "".join(f"<th>{_text(name)}</th>" for name in result.sample[0])
    rows = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in result.sample)
    return f'<table class="sample"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(value: str | None) -> str:
    return f"<td>{'<small>null</small>' if value is None else _text(_cut(value))}</td>"


def _row(result: Result) -> str:
    return (
        f'<tr><td><b class="{result.status}">{_WORDS[result.status]}</b></td><td>{_text(result.name)}</td>'
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
  :root {{ color-scheme: light dark; --line: #8884; --now: #2563c9; --before: #8a8f98; --soft: #8881; }}
  @media (prefers-color-scheme: dark) {{ :root {{ --now: #6aa3ff; --before: #9aa0aa; }} }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
  h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }} h3 {{ font-size: 1rem; margin: 0; }}
  dl {{ display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; }}
  dt {{ opacity: .7; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
  table {{ border-collapse: collapse; width: 100%; margin-top: .5rem; }}
  th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }}
  td {{ overflow-wrap: anywhere; }}
  b {{ padding: .1rem .5rem; border-radius: .3rem; color: #fff; white-space: nowrap; font-size: .85em; }}
  b.pass {{ background: #18703c; }} b.warn {{ background: #8a5a00; }} b.fail {{ background: #b3261e; }}
  .card {{ border: 1px solid var(--line); border-left: .3rem solid; border-radius: .4rem; }}
  .card {{ padding: .7rem 1rem; margin: .6rem 0; }}
  .card.fail {{ border-left-color: #b3261e; }} .card.warn {{ border-left-color: #b47a00; }}
  .card p {{ margin: .3rem 0; }} small {{ opacity: .75; }}
  .sample {{ font: .85em/1.6 ui-monospace, monospace; background: var(--soft); border-radius: .3rem; }}
  .sample {{ width: auto; }} .sample th, .sample td {{ padding: .15rem .7rem; }}
  .columns {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; }}
  .column {{ border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; }}
  .column p {{ margin: .2rem 0 0; font-size: .85em; opacity: .8; }}
  .column p.alert {{ color: #b3261e; opacity: 1; font-weight: 600; }}
  @media (prefers-color-scheme: dark) {{ .column p.alert {{ color: #ff8a80; }} }}
  svg {{ width: 100%; height: auto; display: block; }}
  svg text {{ font: 10px system-ui, sans-serif; fill: currentColor; opacity: .8; }}
  .now {{ fill: var(--now); }} .old {{ fill: var(--before); opacity: .55; }}
  .before {{ fill: none; stroke: var(--before); stroke-width: 1.5; }} .base {{ stroke: var(--line); }}
  .key i {{ display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; vertical-align: -.05em; }}
  .key i.k1 {{ background: var(--now); }} .key i.k2 {{ border: 2px solid var(--before); box-sizing: border-box; }}
</style>
<h1>{title} <b class="{verdict}">{word}</b></h1>
<dl>{about}</dl>
<p>{size}. <strong>{summary}.</strong></p>
{failures}{profile}
<h2>All checks</h2>
<table>
<thead><tr><th>result</th><th>check</th><th>over</th><th>observed</th><th>expected</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</html>
"""
