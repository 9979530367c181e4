"""What a run has done, in a short table: from what its tasks returned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_wall.cli.output import short
from airflow_wall.compiler.plan import Plan

Results = Mapping[str, Any]


def show_summary(console: Console, plan: Plan, results: Results) -> None:
    """Print what the steps of a plan returned; nothing for steps that did not run."""
    rows = [
        row
        for row in (
            _rows_in(plan, results),
            _scored(plan, results),
            *_models(plan, results),
            *_checks(plan, results),
            *_published(plan, results),
        )
        if row
    ]
    if not rows:
        return
    for name, text in rows:  # no table: paths must stay whole, to be copied
        console.print(f"{name:<13}{text}")
    for command in _queries(plan, results)[:1]:
        console.print(f"{'look at it':<13}{command}")


def _of(plan: Plan, results: Results, *uses: str) -> list[dict[str, Any]]:
    found = (results.get(task.task_id) for task in plan.tasks if task.uses in uses)
    return [result for result in found if isinstance(result, dict)]


def _rows_in(plan: Plan, results: Results) -> tuple[str, str] | None:
    done = _of(plan, results, "ingest")
    if not done:
        return None
    files = sum(each.get("files", 0) for each in done)
    return "rows in", f"{sum(each['rows'] for each in done):,} from {files:,} files into {len(done)} tables"


def _scored(plan: Plan, results: Results) -> tuple[str, str] | None:
    done = _of(plan, results, "predict")
    return ("rows scored", f"{sum(each['rows'] for each in done):,}") if done else None


def _models(plan: Plan, results: Results) -> list[tuple[str, str]]:
    rows = []
    for each in _of(plan, results, "retrain"):
        text = f"{each['model']} version {each['version']}: {each['metric']} {_number(each['value'])}"
        if each.get("champion_version") is not None:
            text += f", champion before: version {each['champion_version']} with {_number(each['champion_value'])}"
        rows.append(("model", f"{text} -> {'promoted' if each['promoted'] else 'not promoted'}"))
        rows.append(("", each["reason"]))
    return rows


def _checks(plan: Plan, results: Results) -> list[tuple[str, str]]:
    return [
        row
        for each in _of(plan, results, "check_integrity")
        for row in (
            ("checks", f"{each['passed']} passed, {each['warned']} warned, {each['failed']} failed"),
            ("", f"report: {short(Path(each['report']))}"),
        )
    ]


def _published(plan: Plan, results: Results) -> list[tuple[str, str]]:
    rows = []
    for each in _of(plan, results, "stop_sender", "publish"):
        rows.append(("published", f"release {each['release']}"))
        rows += [("", f"{count:,} rows in {target}") for target, count in each["targets"].items()]
    return rows


def _queries(plan: Plan, results: Results) -> list[str]:
    targets = [target for each in _of(plan, results, "stop_sender", "publish") for target in each["targets"]]
    return [f"airflow-wall query {target} --limit 5" for target in targets if target.startswith("sql://")]


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "none"
