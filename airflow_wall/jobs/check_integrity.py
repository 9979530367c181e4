"""The job `check_integrity`: run declared checks on this slice's rows, and always write a report."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from airflow_wall.checks.base import Report, Result
from airflow_wall.checks.data import Unanswerable
from airflow_wall.checks.evaluate import evaluate
from airflow_wall.checks.load import load_checks
from airflow_wall.checks.profile import Profile, profile
from airflow_wall.checks.report import failures_text, to_html, to_json, to_text
from airflow_wall.errors import CheckFailed, DataError, Interrupted, WallError
from airflow_wall.job import Env, Run, safe_name
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import FeatureSummary, Registry
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import SLICE, TableStore
from airflow_wall.storage.contract import Contracts
from airflow_wall.storage.scan import Scan
from airflow_wall.storage.verdicts import Checkers, Verdict, Verdicts

log = logging.getLogger(__name__)

_WARNINGS = 20  # results of severity `warn` that the task returns
_PASSED = 100  # names of passed checks that the task returns

_LOGICAL_DATE = re.compile(r"\d{8}T\d{6}(\.\d+)?Z")


def check_integrity(
    env: Env,
    *,
    table: str,
    checks: str | list[Any],
    checks_file: str | None = None,
    gate: bool = True,
    others: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> dict[str, Any]:
    """
    Check a table, and return the counts of the results, the warnings and the path of the report.

    :param checks: The text of a file of checks, or the list of checks itself.
    :param checks_file: Name of that file, for messages.
    :param gate: False if the checks do not decide what is published.
    :param others: Other table that checks read -> `checked_by` and `possibly_checked_by`, as of the job `stage`.
    :raises CheckFailed: a check of severity `error` failed. The report has been written.
    :raises SpecError: the declarations of the checks have faults.
    """
    run = env.run
    loaded = load_checks(checks, path=checks_file)
    store = open_tables(run.storage)
    verdicts = Verdicts(run.storage, store)
    checked = verdicts.checked_rows(run, table)
    checkers = {
        name: Checkers(tasks["checked_by"], tasks["possibly_checked_by"]) for name, tasks in (others or {}).items()
    }
    rejected = checked.rejected if gate else frozenset()
    reader = _LakeReader(store, open_registry(run.storage), verdicts, run, table, rejected, checkers)
    personal = _personal(run, table)
    report = evaluate(loaded, reader, now=run.slice.order)
    report = replace(
        report,
        results=tuple(_without_columns(result, personal) for result in report.results),
        about=_about(run, table, checks_file),
        profile=_profile(store, run, table, reader.rejected, personal),
    )
    page = _write(report, run)
    after = verdicts.checked_rows(run, table)
    if (after.slice, after.content) != (checked.slice, checked.content):
        raise Interrupted(f"the rows of table `{table}` changed while they were checked", hint="run the task again")
    env.fence()
    failed = tuple(result.name for result in report.failures)
    if gate:
        verdict = Verdict(checked.content, failed, checks_digest(checks), run.run_id, str(page))
        verdicts.record(run, table, checked.slice, verdict)
    log.info("checks of `%s`, slice %s:\n%s\nreport: %s", table, run.slice.id, to_text(report), page)
    if report.warnings:
        log.warning("failed checks of severity `warn`:\n%s", failures_text(report.warnings))
    if report.failures:
        where = f"`checks` ({checks_file})" if checks_file else "`checks`"
        raise CheckFailed(
            f"{where}: {len(report.failures)} of {len(report.results)} checks of `{table}`, slice `{run.slice.id}`, "
            f"failed:\n{failures_text(report.failures)}",
            hint=f"read the report: {page}",
            facts=_facts(report, page),
        )
    return _facts(report, page)


def _facts(report: Report, page: str) -> dict[str, Any]:
    """Return the counts, the checks that failed, and the score of each check that measures drift."""
    not_passed = [*report.failures, *report.warnings][:_WARNINGS]
    drift = {result.name: round(result.score, 6) for result in report.results if result.score is not None}
    return {
        "passed": report.count("pass"),
        "warned": report.count("warn"),
        "failed": report.count("fail"),
        "warnings": [f"{result.name}: {result.observed}" for result in report.warnings[:_WARNINGS]],
        "checks": [
            {"name": result.name, "status": result.status, "observed": result.observed, "expected": result.expected}
            for result in not_passed
        ],
        "passed_checks": [result.name for result in report.results if result.status == "pass"][:_PASSED],
        "report": str(page),
        **({"drift": drift} if drift else {}),
    }


def _personal(run: Run, table: str) -> list[str]:
    """Return the columns whose contract says `pii`. The report shows no values of them."""
    recorded = Contracts(run.storage).read(table)
    columns = {} if recorded is None else recorded[0].about.get("columns", {})
    return [name for name, facts in columns.items() if facts.get("pii")]


def _without_columns(result: Result, names: Collection[str]) -> Result:
    sample = [{name: value for name, value in row.items() if name not in names} for row in result.sample]
    return replace(result, sample=sample)


def _profile(
    store: TableStore, run: Run, table: str, rejected: Collection[str], personal: Collection[str]
) -> Profile | None:
    """Return the rows beside earlier ones. The report is complete without them, so a fault here fails no check."""
    try:
        return profile(
            lambda slices, names: store.read(table, slices=slices, columns=names),
            store.schema(table),
            store.summary(table).rows,
            this=run.slice.id,
            earlier=_earlier_slices(store, table, run.slice.id, rejected),
            personal=personal,
        )
    except (WallError, pa.ArrowException) as error:
        log.warning("the report has no profile of the rows: %s", error)
        return None


@dataclass(frozen=True)
class _LakeReader:
    """
    Reads rows and models of the lake for the checks of one run.

    :param rejected: Slices whose present rows these checks have rejected. They are not published, so they are read
        neither as earlier nor as current rows.
    :param checkers: Other table -> the tasks that check it.
    """

    store: TableStore
    registry: Registry
    verdicts: Verdicts
    run: Run
    table: str
    rejected: Collection[str]
    checkers: Mapping[str, Checkers]

    @property
    def slice(self) -> str:
        return self.run.slice.id

    def schema(self) -> pa.Schema:
        return self.store.schema(self.table)

    def rows(self, columns: Sequence[str] | None) -> Scan:
        return self.store.scan(self.table, slices=[self.slice], columns=columns)

    def earlier(self, columns: Sequence[str] | None) -> Scan | None:
        slices = _earlier_slices(self.store, self.table, self.slice, self.rejected)
        return self.store.scan(self.table, slices=slices, columns=columns) if slices else None

    def earlier_counts(self, last: int) -> dict[str, int]:
        slices = _earlier_slices(self.store, self.table, self.slice, self.rejected)[-last:]
        return {slice_: self.store.scan(self.table, slices=[slice_]).count() for slice_ in slices}

    def current(self, columns: Sequence[str] | None) -> Scan:
        names = self.schema().names if columns is None else columns
        left_out = {*self.rejected} - {self.slice}
        slices = [name for name in self.store.slices(self.table) if name not in left_out] if left_out else None
        return self.store.scan(self.table, slices=slices, columns=[*names, SLICE])

    def other(self, table: str, columns: Sequence[str]) -> Scan:
        if table == self.table:
            return replace(self.current(columns), columns=tuple(columns))
        checkers = self.checkers.get(table, Checkers())
        try:
            rows, _ = self.verdicts.passed_rows(
                self.run.pipeline, table, checkers, columns=columns, accept_earlier=True
            )
        except DataError as error:
            detail = ". ".join(filter(None, (error.message, error.hint)))
            raise Unanswerable(f"`{table}` cannot be read", detail) from error
        return rows

    def training(self, model: str) -> Mapping[str, FeatureSummary] | None:
        champion = self.registry.champion(model)
        return None if champion is None else self.registry.record(model, champion.version).training


def _earlier_slices(store: TableStore, table: str, this: str, rejected: Collection[str]) -> list[str]:
    """
    Return the slices before this one, without rejected ones.

    Ids made from logical dates sort by time. If this slice's id is another one, such as a partition key, all other
    slices are returned.
    """
    others = [other for other in store.slices(table) if other != this and other not in rejected]
    if _LOGICAL_DATE.fullmatch(this):
        others = [other for other in others if _LOGICAL_DATE.fullmatch(other) and other < this]
    return others


def checks_digest(checks: str | list[Any]) -> str:
    """Return a digest of the text of checks, by which verdicts name them."""
    text = checks if isinstance(checks, str) else json.dumps(checks, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _about(run: Run, table: str, checks_file: str | None) -> dict[str, str]:
    about = {"table": table, "slice": run.slice.id, "pipeline": run.pipeline, "task": run.task_id, "run": run.run_id}
    return about if checks_file is None else {**about, "checks": checks_file}


def report_path(run: Run) -> PurePosixPath:
    """Return the path of the page that a task of checks writes, below the folder of reports."""
    name = safe_name(run.task_id)  # task ids have dots: `etl.check`
    return PurePosixPath(safe_name(run.pipeline), safe_name(run.slice.id), f"{name}.html")


def _write(report: Report, run: Run) -> str:
    """Write the report as JSON and HTML, and return the path or address of the HTML page."""
    lake, path = run.storage, report_path(run)
    key = lake.state_key("reports", str(path))
    document = json.dumps(to_json(report), indent=1, ensure_ascii=False)
    lake.objects.put(f"{key.removesuffix('.html')}.json", document.encode())
    lake.objects.put(key, to_html(report).encode())
    return lake.place(key)
