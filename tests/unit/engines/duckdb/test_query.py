"""
Queries of the user, and the messages of their faults.

Waits for: queries that take long enough to be measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa
import pytest
from checked_rows import InMemory

from airflow_wall.checks.data import Data
from airflow_wall.checks.kinds.sql import Sql
from airflow_wall.engines.duckdb.query import run_query
from airflow_wall.errors import UserCodeError

NUMBERS = pa.table({"x": list(range(250))})
SLOW = "(SELECT count(*) FROM data a, data b, data c WHERE (a.x * b.x + c.x) % 7 = 3)"


def cpu_seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def fail(sql: str) -> str:
    with pytest.raises(UserCodeError) as error:
        run_query(sql, {"data": NUMBERS}, None)
    return str(error.value)


def test_a_failing_query_runs_once() -> None:
    once = min(cpu_seconds(lambda: run_query(f"SELECT {SLOW} AS n", {"data": NUMBERS}, None)) for _ in range(3))
    failing = min(cpu_seconds(lambda: fail(f"SELECT error('boom ' || {SLOW}) AS n")) for _ in range(3))
    assert once > 0.05, "too fast to be measured"
    assert failing < 1.5 * once


def test_a_check_that_finds_rows_runs_its_query_once() -> None:
    data = Data(InMemory(NUMBERS), None, "2020-01-01")
    check = Sql(query=f"SELECT x, {SLOW} AS n FROM data LIMIT 5")
    once = min(cpu_seconds(lambda: data.first(check.query, 3)) for _ in range(3))
    found = min(cpu_seconds(lambda: check.run(data)) for _ in range(3))
    assert check.run(data).observed == "5 rows"
    assert check.run(data).detail.startswith("x=0, n=")
    assert once > 0.05, "too fast to be measured"
    assert found < 1.5 * once
    data.close()


def test_the_place_of_a_fault_is_shown_although_nothing_is_run() -> None:
    assert "LINE 1: SELECT y FROM data\n               ^" in fail("SELECT y FROM data")
    assert "LINE 1: SELECT 'a'::INT" in fail("SELECT 'a'::INT")


BIG = pa.table({"x": list(range(500_000)), "y": [n % 1000 for n in range(500_000)]})


def test_a_query_without_order_is_sorted_by_all_columns() -> None:
    rows = run_query("SELECT a.x, b.x AS z FROM data a JOIN data b ON a.x = b.y", {"data": BIG}, None)
    assert rows.equals(rows.sort_by([("x", "ascending"), ("z", "ascending")]))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x FROM data ORDER BY x DESC",
        "FROM data SELECT x ORDER BY x DESC",
        "WITH a AS (FROM data) SELECT x FROM a WHERE x > 1 ORDER BY x DESC LIMIT 100",
    ],
)
def test_the_order_of_a_query_is_kept(sql: str) -> None:
    values = run_query(sql, {"data": BIG}, None).column("x").to_pylist()
    assert values == sorted(values, reverse=True)


def test_the_order_of_a_subquery_is_not_that_of_the_query() -> None:
    rows = run_query("SELECT x FROM (SELECT x FROM data ORDER BY x DESC LIMIT 3)", {"data": BIG}, None)
    assert rows.column("x").to_pylist() == [499_997, 499_998, 499_999]


def test_a_pivot_is_sorted() -> None:
    rows = run_query("FROM (PIVOT data ON x IN (0, 1) USING count(*) GROUP BY y)", {"data": BIG}, None)
    assert rows.column("y").to_pylist() == list(range(1000))
