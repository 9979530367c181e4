"""Faults of a query that are known without its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.engines.duckdb.bind import query_fault

INPUTS = {"raw": {"id": "bigint", "amount": "decimal(10,2)", "day": "date", "tags": "varchar[]", "Odd name": "varchar"}}


@pytest.mark.parametrize(
    "sql",
    [
        "select id, amount * 2 as double, day + interval 1 day as next from raw",
        "with a as (select ID as x from raw) select x from a",
        'select "odd NAME", unnest(tags) as tag from raw',
        "from raw select id",
        "select id from raw as r where r.amount > 1 order by day",
    ],
)
def test_query_of_known_columns_has_no_fault(sql: str) -> None:
    assert query_fault(sql, INPUTS) is None
    assert query_fault(sql, None) is None


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select ident from raw", 'Referenced column "ident" not found in FROM clause'),
        ("select raw.ident from raw", 'Table "raw" does not have a column named "ident"'),
        ("select id from orders", "Table with name orders does not exist"),
    ],
)
def test_unknown_names_are_faults_only_if_the_columns_are_known(sql: str, reason: str) -> None:
    assert query_fault(sql, INPUTS) == (reason, None)
    assert query_fault(sql, None) is None


def test_text_that_is_not_one_query_is_a_fault_with_its_line() -> None:
    assert query_fault("select id\nform raw", None) == ('syntax error at or near "raw"', 2)
    assert query_fault("select 1; select 2", None) == ("must be one query, got `SELECT`, `SELECT`", None)
    assert query_fault("drop table raw", None) == ("must be one query, got `DROP`", None)


def test_query_is_not_run_and_reaches_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    assert query_fault(f"select c from read_csv('{tmp_path}/secret.csv')", INPUTS) is None
    assert query_fault("select error('was run') from raw", INPUTS) is None
