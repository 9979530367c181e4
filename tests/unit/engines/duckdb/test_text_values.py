"""The SQL that reads texts keeps the order of rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.engines.duckdb.text_values import Inference, Notation, exact_value

NOTATION = Notation("%d/%m/%Y", "%d/%m/%Y %H:%M", ",", ".")


@pytest.mark.parametrize("notation", [Notation(), NOTATION], ids=["ISO", "other"])
@pytest.mark.parametrize(
    "type_",
    [
        pa.string(),
        pa.binary(),
        pa.bool_(),
        pa.int8(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(12, 2),
        pa.date32(),
        pa.timestamp("us"),
        pa.timestamp("us", tz="UTC"),
        pa.time64("us"),
    ],
    ids=str,
)
def test_no_value_is_read_by_a_join(type_: pa.DataType, notation: Notation) -> None:
    """A join on several threads returns its rows in any order."""
    exact = exact_value("x", type_, notation)
    with duck.connect() as database:
        database.register("b", pa.table({"x": ["1"]}))
        query = f"SELECT {exact.value}, {exact.valid}, {exact.is_marker} FROM b"
        ((_, plan),) = database.sql(f"EXPLAIN {query}").fetchall()
    assert "join" not in plan.lower()


def test_no_type_is_inferred_by_a_join() -> None:
    counts = Inference("x").counts()
    with duck.connect() as database:
        database.register("b", pa.table({"x": ["1"]}))
        for name, sql in counts.items():
            ((_, plan),) = database.sql(f"EXPLAIN SELECT {sql} FROM b").fetchall()
            assert "join" not in plan.lower(), name


def test_in_is_a_join() -> None:
    """If DuckDB makes no join of `IN` any more, `is_one_of` is not needed."""
    with duck.connect() as database:
        database.register("b", pa.table({"x": ["1"]}))
        ((_, plan),) = database.sql("EXPLAIN SELECT x IN ('a', 'b', 'c', 'd', 'e', 'f', 'g') FROM b").fetchall()
    assert "join" in plan.lower()
