"""Run checks on the rows of one slice, and of the table that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from airflow_wall.checks.base import Check, CheckOutcome, Report, Result, Scope
from airflow_wall.checks.data import Data, Reader, Unanswerable
from airflow_wall.checks.kinds.row_count import RowCount


def evaluate(checks: Sequence[Check], reader: Reader, *, now: str) -> Report:
    """
    Run every check and return the report. A check that fails does not stop the others.

    A `row_count` of at least 1 row is added if the checks have none of the slice: most checks pass on an empty slice.

    :param reader: Reads the rows that the checks ask for, and no columns that none of them needs.
    :param now: The slice's time, ISO 8601.
    """
    if not any(isinstance(check, RowCount) and check.scope == "slice" for check in checks):
        checks = [RowCount(min=1), *checks]
    schema = reader.schema()
    results: dict[int, list[Result]] = {}
    rows, earlier_rows = 0, 0
    scopes: tuple[Scope, ...] = ("slice", "table")
    for scope in scopes:
        places = [place for place, check in enumerate(checks) if check.scope == scope]
        if not places:
            continue
        data = _open([checks[place] for place in places], reader, schema, scope, now)
        try:
            results |= {place: list(_results(checks[place], data)) for place in places}
        finally:
            data.close()
        rows = data.row_count if scope == "slice" else rows
        earlier_rows = max(earlier_rows, data.earlier_count)
    ordered = tuple(result for place in sorted(results) for result in results[place])
    return Report(ordered, rows, earlier_rows, now)


def _open(checks: Sequence[Check], reader: Reader, schema: pa.Schema, scope: Scope, now: str) -> Data:
    columns = _columns(checks, schema)
    rows = reader.rows(columns) if scope == "slice" else reader.current(columns)
    comparing = [check for check in checks if check.reads_earlier()]
    earlier = reader.earlier(_columns(comparing, schema)) if comparing else None
    return Data(rows, earlier, now, schema=schema, reader=reader)


def _columns(checks: Iterable[Check], schema: pa.Schema) -> list[str] | None:
    """Return the columns that the checks read, in the order of the table; None if one of them reads all."""
    read = [check.reads() for check in checks]
    if any(columns is None for columns in read):
        return None
    names = {name for columns in read for name in columns or ()}
    # The engine cannot count rows without columns.
    return [name for name in schema.names if name in names] or schema.names[:1]


def _results(check: Check, data: Data) -> Iterator[Result]:
    try:
        parts = check.split(data)
    except Unanswerable as error:
        yield _result(check, _unanswerable(error))
        return
    for part in parts:
        try:
            outcome = part.run(data)
        except Unanswerable as error:
            outcome = _unanswerable(error)
        yield _result(part, outcome)


def _unanswerable(error: Unanswerable) -> CheckOutcome:
    return CheckOutcome(False, error.observed, "a check that can be answered", error.detail)


def _result(check: Check, outcome: CheckOutcome) -> Result:
    return Result(
        check.label(),
        check.kind,
        check.severity,
        outcome.passed,
        outcome.observed,
        outcome.expected,
        outcome.detail,
        check.scope,
        outcome.score,
        outcome.sample,
    )
