"""The origin of the columns of a query."""

from __future__ import annotations

import pytest

from airflow_wall.engines.duckdb.column_sources import column_sources

pytest.importorskip("sqlglot")

INPUTS = {"orders": ["id", "amount", "day"], "shops": ["id", "Name X"]}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM orders", {"id": ["orders.id"], "amount": ["orders.amount"], "day": ["orders.day"]}),
        ("FROM Orders SELECT sum(Amount) AS total, DAY AS Day GROUP BY day; -- all", {"total": ["orders.amount"], "Day": ["orders.day"]}),
        (
            "WITH x AS (SELECT *, amount + id AS s FROM orders) SELECT s, upper(\"Name X\") AS n, x.* EXCLUDE (s, amount) "
            "FROM x JOIN shops ON x.id = shops.id WHERE amount > 1",
            {"s": ["orders.amount", "orders.id"], "n": ["shops.Name X"], "id": ["orders.id"], "day": ["orders.day"]},
        ),
        ("SELECT id, (SELECT max(\"Name X\") FROM shops) AS m FROM orders", {"id": ["orders.id"], "m": ["shops.Name X"]}),
        ("SELECT id, amount + 1 FROM orders", {"id": ["orders.id"]}),
        ("SELECT id, 1 AS one, count(*) AS n FROM orders GROUP BY id", {"id": ["orders.id"]}),
        (
            "SELECT id, day FROM orders UNION ALL SELECT id, \"Name X\" FROM shops",
            {"id": ["orders.id", "shops.id"], "day": ["orders.day", "shops.Name X"]},
        ),
    ],
)  # fmt: skip
def test_columns_have_their_origins(sql: str, expected: dict[str, list[str]]) -> None:
    origins = column_sources(sql, INPUTS, expected)
    assert {column: [".".join(pair) for pair in pairs] for column, pairs in origins.items()} == {
        column: pairs for column, pairs in expected.items() if pairs
    }


@pytest.mark.parametrize(
    "sql",
    [
        "not sql (",
        "SELECT 1; SELECT id FROM orders",
        "SELECT amount, id FROM orders UNION ALL BY NAME SELECT id, amount FROM orders",
        "PIVOT orders ON day USING sum(amount)",
        "SELECT COLUMNS('a.*') FROM orders",
    ],
)
def test_a_tree_that_does_not_show_it_gives_no_origin(sql: str) -> None:
    assert column_sources(sql, INPUTS, ["id", "amount"]) == {}
