"""The job `check_integrity`: run declared checks on this slice's rows, and always write a report."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from airflow_wall import state
from airflow_wall.checks.base import Report
from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks
from airflow_wall.checks.report import failures_text, to_html, to_json, to_text
from airflow_wall.errors import CheckFailed
from airflow_wall.job import Env, Run, safe_name
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore

log = logging.getLogger(__name__)

_LOGICAL_DATE = re.compile(r"\d{8}T\d{6}(\.\d+)?Z")


def check_integrity(env: Env, *, table: str, checks: str | list[Any], checks_file: str | None = None) -> dict[str, Any]:
    """
    Check this slice of a table, and return the counts of the results and the path of the report.

    :param checks: The text of a file of checks, or the list of checks itself.
    :param checks_file: Name of that file, for messages.
    :raises CheckFailed: a check of severity `error` failed. The report has been written.
    :raises SpecError: the declarations of the checks have faults.
    """
    run = env.run
    loaded = load_checks(checks, path=checks_file)
    store = open_tables(run.storage)
    rows = store.read(table, slices=[run.slice.id])
    earlier = _earlier(store, table, run.slice.id) if any(check.needs_earlier for check in loaded) else None
    report = replace(
        evaluate(loaded, rows, earlier=earlier, now=run.slice.order), about=_about(run, table, checks_file)
    )
    page = _write(report, run)
    log.info("checks of `%s`, slice %s:\n%s\nreport: %s", table, run.slice.id, to_text(report), page)
    if report.failures:
        where = f"`checks` ({checks_file})" if checks_file else "`checks`"
        raise CheckFailed(
            f"{where}: {len(report.failures)} of {len(report.results)} checks of `{table}`, slice `{run.slice.id}`, "
            f"failed:\n{failures_text(report.failures)}",
            hint=f"read the report: {page}",
        )
    return {
        "passed": report.count("pass"),
        "warned": report.count("warn"),
        "failed": report.count("fail"),
        "report": str(page),
    }


def _earlier(store: TableStore, table: str, this: str) -> pa.Table | None:
    """
    Return the rows of the slices before this one, or None.

    Ids made from logical dates sort by time. If this slice's id is another one, such as a partition key, all other
    slices are returned.
    """
    others = [other for other in store.slices(table) if other != this]
    if _LOGICAL_DATE.fullmatch(this):
        others = [other for other in others if _LOGICAL_DATE.fullmatch(other) and other < this]
    return store.read(table, slices=others) if others else None


def _about(run: Run, table: str, checks_file: str | None) -> dict[str, str]:
    about = {"table": table, "slice": run.slice.id, "pipeline": run.pipeline, "task": run.task_id, "run": run.run_id}
    return about if checks_file is None else {**about, "checks": checks_file}


def _write(report: Report, run: Run) -> Path:
    """Write the report as JSON and HTML, and return the path of the HTML page."""
    folder = run.state / "reports" / safe_name(run.pipeline) / safe_name(run.slice.id)
    name = safe_name(run.task_id)  # task ids have dots: `etl.check`
    page = folder / f"{name}.html"
    state.write_bytes(folder / f"{name}.json", json.dumps(to_json(report), indent=1, ensure_ascii=False).encode())
    state.write_bytes(page, to_html(report).encode())
    return page
