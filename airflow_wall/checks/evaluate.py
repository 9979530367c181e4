"""Run checks on the rows of one slice."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from airflow_wall.checks.base import Check, CheckOutcome, Report, Result
from airflow_wall.checks.data import Data, Unanswerable
from airflow_wall.checks.kinds.row_count import RowCount


def evaluate(checks: Sequence[Check], data: pa.Table, *, earlier: pa.Table | None, now: str) -> Report:
    """
    Run every check and return the report. A check that fails does not stop the others.

    A `row_count` of at least 1 row is added if the checks have none: most checks pass on an empty slice.

    :param data: Rows of the slice.
    :param earlier: Rows of the earlier slices, or None.
    :param now: The slice's time, ISO 8601.
    """
    if not any(isinstance(check, RowCount) for check in checks):
        checks = [RowCount(min=1), *checks]
    view = Data(data, earlier, now)
    try:
        results = tuple(_result(check, view) for check in checks)
    finally:
        view.close()
    return Report(results, view.rows.num_rows, view.earlier.num_rows, now)


def _result(check: Check, data: Data) -> Result:
    try:
        outcome = check.run(data)
    except Unanswerable as error:
        outcome = CheckOutcome(False, error.observed, "a check that can be answered", error.detail)
    return Result(
        check.label(), check.kind, check.severity, outcome.passed, outcome.observed, outcome.expected, outcome.detail
    )
