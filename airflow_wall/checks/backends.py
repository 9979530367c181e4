"""The table of checks: a kind of check is a module and a line here."""

from __future__ import annotations

from airflow_wall.checks.accepted_values import AcceptedValues
from airflow_wall.checks.base import Check
from airflow_wall.checks.columns import RequiredColumns
from airflow_wall.checks.distribution import Distribution
from airflow_wall.checks.drift import Drift
from airflow_wall.checks.freshness import Freshness
from airflow_wall.checks.not_null import NotNull
from airflow_wall.checks.range import Range
from airflow_wall.checks.row_count import RowCount
from airflow_wall.checks.sql import Sql
from airflow_wall.checks.unique import Unique

CHECKS: dict[str, type[Check]] = {
    check.kind: check
    for check in (
        RowCount,
        RequiredColumns,
        NotNull,
        Unique,
        Range,
        AcceptedValues,
        Freshness,
        Distribution,
        Drift,
        Sql,
    )
}
"""Kind, as the YAML writes it -> the check."""
