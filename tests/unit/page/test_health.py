"""The health of a pipeline on the page: Airflow's last run and the documents of `wall_upkeep` together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_wall.page.health import judged
from airflow_wall.page.sparkline import sparkline
from airflow_wall.page.stored import DagFacts, LastRun

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
SUCCESS = LastRun("r1", "success", NOW - timedelta(hours=5), NOW - timedelta(hours=4))
FAILED = replace(SUCCESS, state="failed", failed=("check",))
DAG = DagFacts("shop", "shop.yaml", paused=False, broken=False, next_run=NOW + timedelta(hours=9), last=SUCCESS)
FINE = {"pipeline": "shop", "health": "ok", "at": (NOW - timedelta(hours=4)).isoformat()}
BAD = {**FINE, "health": "bad", "kind": "failed", "reason": "not_null: 12 rows", "next": "airflow-wall run FILE"}


@pytest.mark.parametrize(
    ("dag", "entry", "health", "kinds"),
    [
        (DAG, FINE, "ok", []),
        (DAG, None, "no history", ["no history"]),
        (DAG, BAD, "bad", ["failed"]),
        (replace(DAG, last=FAILED), FINE, "bad", ["failed"]),
        (replace(DAG, last=FAILED), None, "bad", ["failed", "no history"]),
        (replace(DAG, last=FAILED), BAD, "bad", ["failed"]),
        (replace(DAG, broken=True), FINE, "bad", ["broken"]),
        (replace(DAG, paused=True), FINE, "look", ["paused"]),
        (replace(DAG, next_run=NOW - timedelta(hours=1)), FINE, "bad", ["late"]),
        (replace(DAG, next_run=NOW - timedelta(minutes=5)), FINE, "ok", []),
        (replace(DAG, next_run=NOW - timedelta(hours=1), paused=True), FINE, "look", ["paused"]),
    ],
)
def test_what_is_bad_by_either_of_them_is_bad(
    dag: DagFacts, entry: dict[str, Any] | None, health: str, kinds: list[str]
) -> None:
    row = judged(dag, entry, NOW)
    assert (row.health, [reason.kind for reason in row.reasons]) == (health, kinds)
    assert all(reason.next for reason in row.reasons)


def test_the_history_says_more_about_a_failure_than_airflow() -> None:
    (reason,) = judged(replace(DAG, last=FAILED), BAD, NOW).reasons
    assert (reason.text, reason.next) == ("not_null: 12 rows", "airflow-wall run shop.yaml")


def test_a_sparkline_has_a_text_and_escapes_it() -> None:
    svg = sparkline([1, None, 3], "rows <of> shop")
    assert "<title>rows &lt;of&gt; shop: 2 values, from 1 to 3, the last one 3</title>" in svg
    assert sparkline([1, None], "rows") == ""
