from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy

from airflow_wall.connections import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.jobs.document import Run, Slice
from airflow_wall.jobs.sql_source import SqlSource, sql_source
from airflow_wall.storage.base import SourceVersion


@pytest.fixture
def database(tmp_path: Path) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(f"sqlite:///{tmp_path}/w.db")


def _run(database: sqlalchemy.Engine, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


def _open(root: Path, cursor: str | None = None, source: str = "sql://w/t", kind: str = "sqlite") -> SqlSource:
    run = Run("scores", "r", "ingest", 1, Slice("s1", "s1"), root / "lake", root, root)
    return sql_source(source, cursor, run, lambda conn_id: ConnectionInfo(conn_id, kind, host="w.db"))


def _error(call: Callable[[], object], kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_columns_have_the_types_of_the_database_whatever_the_values(
    tmp_path: Path, database: sqlalchemy.Engine
) -> None:
    _run(
        database,
        "CREATE TABLE t (i INTEGER, f FLOAT, m NUMERIC(9,2), b BOOLEAN, s TEXT, d DATE, at DATETIME, j JSON, x BLOB)",
        "INSERT INTO t VALUES (1, 2, 3.5, 1, 'x', '2013-07-01', '2013-07-01 05:00:00', '{\"a\": 1}', x'00')",
        "INSERT INTO t (i) VALUES (2)",
    )
    rows = _open(tmp_path).read(None)
    assert rows.schema.types == [
        pa.int64(), pa.float64(), pa.decimal128(9, 2), pa.bool_(), pa.string(), pa.date32(), pa.timestamp("us"),
        pa.string(), pa.binary(),
    ]  # fmt: skip
    assert rows.to_pylist()[0] == {
        "i": 1, "f": 2.0, "m": Decimal("3.50"), "b": True, "s": "x", "d": datetime.date(2013, 7, 1),
        "at": datetime.datetime(2013, 7, 1, 5), "j": '{"a": 1}', "x": b"\0",
    }  # fmt: skip
    _run(database, "DELETE FROM t")
    assert _open(tmp_path).read(None).schema == rows.schema


@pytest.mark.parametrize(
    ("kind", "values", "low", "high"),
    [
        ("INTEGER", [9, 10, 11], "9", "11"),
        ("DATETIME", ["2013-07-01 00:00:00.000000", "2013-07-01 00:00:00.000001", "2013-07-02 00:00:00"],
         "2013-07-01T00:00:00", "2013-07-02T00:00:00"),
        ("DATE", ["2013-07-01", "2013-07-02", "2013-07-03"], "2013-07-01", "2013-07-03"),
        ("TEXT", ["a", "b", "c"], "a", "c"),
        ("FLOAT", [0.1, 0.2, 0.3], "0.1", "0.3"),
        ("NUMERIC(9,2)", [9, 10, 11], "9.00", "11.00"),
    ],
)  # fmt: skip
def test_a_cursor_gives_what_is_above_the_highest_processed_value(
    tmp_path: Path, database: sqlalchemy.Engine, kind: str, values: list[Any], low: str, high: str
) -> None:
    _run(database, f"CREATE TABLE t (c {kind})", *(f"INSERT INTO t VALUES ({value!r})" for value in values))
    source = _open(tmp_path, "c")
    whole = source.newest(["3-0123456789abcdef", "other=99"])  # of the whole table, of another cursor
    assert whole == SourceVersion("sql://w/t", f"c={high}", cursor="c")
    assert source.read(whole).num_rows == 3
    rest = source.newest([f"c={low}"])
    assert rest == SourceVersion("sql://w/t", f"c={high}", since=f"c={low}", cursor="c")
    assert source.read(rest).num_rows == 2
    assert source.newest([f"c={high}", f"c={low}"]) is None


def test_the_version_of_a_whole_table_changes_with_its_rows_and_not_with_their_order(
    tmp_path: Path, database: sqlalchemy.Engine
) -> None:
    _run(database, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), (2)")
    first = _open(tmp_path).newest([])
    assert first is not None
    _run(database, "DELETE FROM t", "INSERT INTO t VALUES (2), (1)")
    assert _open(tmp_path).newest([first.version]) is None
    _run(database, "UPDATE t SET n = 3 WHERE n = 2")
    changed = _open(tmp_path).newest([first.version])
    assert changed is not None
    assert changed.version.startswith("2-")


def test_a_value_that_is_not_of_its_type_is_named(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), ('many')")
    assert _error(lambda: _open(tmp_path).read(None)) == (
        "`source` `sql://w/t`: column `n` is of type `INTEGER`, and one of its values is `'many'`\n\n"
        "hint: mend the value or the type of the column"
    )


def test_a_time_that_is_none_is_told(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (at DATETIME)", "INSERT INTO t VALUES ('yesterday')")
    assert _error(lambda: _open(tmp_path).read(None)) == (
        "`source` `sql://w/t` holds a value that is not of its column's type: Invalid isoformat string: 'yesterday'"
    )


def test_a_missing_table_names_the_nearest(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE orders (n INTEGER)", "CREATE VIEW sums AS SELECT 1 AS a")
    assert _error(lambda: _open(tmp_path, source="sql://w/order")) == (
        "`source` `sql://w/order`: the database has no table `order`; it has `orders`, `sums`\n\n"
        "hint: did you mean `orders`?"
    )


def test_a_missing_cursor_names_the_nearest(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (updated_at DATETIME, n INTEGER, raw BLOB)")
    assert _error(lambda: _open(tmp_path, "update_at")) == (
        "`cursor`: `sql://w/t` has no column `update_at` (it has: updated_at, n, raw)\n\n"
        "hint: did you mean `updated_at`?"
    )
    assert _error(lambda: _open(tmp_path, "raw")) == (
        "`cursor`: column `raw` of `sql://w/t` has type `BLOB`, which has no order\n\n"
        "hint: name a column of numbers or times that only grow"
    )


@pytest.mark.parametrize("source", ["sql://", "sql://w", "sql://w/a/b", "sql://w/a.b.c", "sql://w/a b"])
def test_a_source_names_a_connection_and_a_table(tmp_path: Path, source: str) -> None:
    assert _error(lambda: _open(tmp_path, source=source)) == (
        f"`source` must be `sql://connection/table`, got `{source}`\n\nhint: write, e.g., `sql://warehouse/orders`"
    )


def test_a_connection_that_holds_no_tables_is_refused(tmp_path: Path) -> None:
    message = _error(lambda: _open(tmp_path, kind="http"), ConnectionFault)
    assert message.startswith("connection `w` has type `http`, which holds no SQL tables")
