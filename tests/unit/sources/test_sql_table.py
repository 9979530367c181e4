from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.job import Run, Slice
from airflow_wall.sources.backends import open_source
from airflow_wall.sources.kinds.base import SourceSite
from airflow_wall.sources.sql_table import OpenSqlTable
from airflow_wall.storage.base import SourceVersion


@pytest.fixture
def database(tmp_path: Path) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(f"sqlite:///{tmp_path}/w.db", poolclass=NullPool)


def _run(database: sqlalchemy.Engine, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))


def _open(
    root: Path, cursor: str | None = None, source: str = "sql://w/t", kind: str = "sqlite", lag: Any = None
) -> OpenSqlTable:
    run = Run("scores", "r", "ingest", 1, Slice("s1", "s1"), root / "lake", root, root)
    site = SourceSite(run, lambda conn_id: ConnectionInfo(conn_id, kind, host="w.db"))
    opened = open_source(source, site, {"cursor": cursor, "lag": lag})
    assert isinstance(opened, OpenSqlTable)
    return opened


def _rows(source: OpenSqlTable, version: SourceVersion | None = None) -> pa.Table:
    return pa.Table.from_batches(source.batches(version), source.schema)


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
    rows = _rows(_open(tmp_path))
    assert rows.schema.types == [
        pa.int64(), pa.float64(), pa.decimal128(9, 2), pa.bool_(), pa.string(), pa.date32(), pa.timestamp("us"),
        pa.string(), pa.binary(),
    ]  # fmt: skip
    assert rows.to_pylist()[0] == {
        "i": 1, "f": 2.0, "m": Decimal("3.50"), "b": True, "s": "x", "d": datetime.date(2013, 7, 1),
        "at": datetime.datetime(2013, 7, 1, 5), "j": '{"a": 1}', "x": b"\0",
    }  # fmt: skip
    _run(database, "DELETE FROM t")
    assert _rows(_open(tmp_path)).schema == rows.schema


@pytest.mark.parametrize(
    ("kind", "values", "low", "high"),
    [
        ("INTEGER", [9, 10, 11], "9", "11"),
        ("DATETIME", ["2013-07-01 00:00:00.000000", "2013-07-01 12:00:00", "2013-07-02T00:00:00"],
         "2013-07-01T00:00:00", "2013-07-02T00:00:00"),
        ("DATE", ["2013-07-01", "2013-07-02", "2013-07-03"], "2013-07-01", "2013-07-03"),
        ("TEXT", ["2013-07-01", "2013-07-01 10:00:00", "2013-07-02"], "2013-07-01", "2013-07-02"),
        ("FLOAT", [0.1, 0.2, 0.3], "0.1", "0.3"),
        ("NUMERIC(9,2)", [9, 10, 11], "9.00", "11.00"),
    ],
)  # fmt: skip
def test_a_cursor_gives_what_is_at_or_above_the_highest_processed_value(
    tmp_path: Path, database: sqlalchemy.Engine, kind: str, values: list[Any], low: str, high: str
) -> None:
    _run(database, f"CREATE TABLE t (c {kind})", *(f"INSERT INTO t VALUES ({value!r})" for value in values))
    source = _open(tmp_path, "c")
    whole = source.newest(["3-0123456789abcdef", "other=99#1"])  # of the whole table, of another cursor
    assert whole == SourceVersion("sql://w/t", f"c={high}#1", cursor="c")
    assert _rows(source, whole).num_rows == 3
    rest = source.newest([f"c={low}"])  # as an older version recorded it
    assert rest == SourceVersion("sql://w/t", f"c={high}#1", since=f"c={low}", cursor="c")
    assert _rows(source, rest).num_rows == 3
    assert source.newest([f"c={high}#1", f"c={low}#1"]) is None
    assert source.newest([f"c={high}", f"c={low}"]) is None
    _run(database, "DELETE FROM t")
    assert source.newest([f"c={high}#1"]) is None


def test_a_row_that_ties_with_the_highest_one_is_new(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (c INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    source = _open(tmp_path, "c")
    first = source.newest([])
    assert first is not None
    _run(database, "INSERT INTO t VALUES (2, 'tie')")
    second = source.newest([first.version])
    assert second == SourceVersion("sql://w/t", "c=2#2", since="c=2#1", cursor="c")
    assert _rows(source, second).column("v").to_pylist() == ["b", "tie"]
    assert source.newest([first.version, second.version]) is None


@pytest.mark.parametrize(
    ("kind", "lag", "values", "late", "read"),
    [
        ("INTEGER", 2, [1, 2, 5], 4, [4, 5]),
        ("FLOAT", 0.5, [1.0, 5.0], 4.5, [4.5, 5.0]),
        ("NUMERIC(9,2)", 0.5, [1, 5], 4.5, [4.5, 5]),
        ("DATETIME", "1h", ["2024-01-01 00:00:00", "2024-01-01 12:00:00"], "2024-01-01 11:00:00.5", 2),
        ("DATE", "1h", ["2024-01-01", "2024-01-03"], "2024-01-02", 2),
        ("TEXT", "1h", ["2024-01-01T00:00:00", "2024-01-01T12:00:00"], "2024-01-01T11:30:00", 2),
        ("TEXT", "1d", ["2024-01-01", "2024-01-03"], "2024-01-02", 2),
    ],
)  # fmt: skip
def test_lag_reads_the_last_stretch_again(
    tmp_path: Path, database: sqlalchemy.Engine, kind: str, lag: Any, values: list[Any], late: Any, read: Any
) -> None:
    _run(database, f"CREATE TABLE t (c {kind})", *(f"INSERT INTO t VALUES ({value!r})" for value in values))
    source = _open(tmp_path, "c", lag=lag)
    first = source.newest([])
    assert first is not None
    assert source.newest([first.version]) is None
    _run(database, f"INSERT INTO t VALUES ({late!r})")
    second = source.newest([first.version])
    assert second is not None
    rows = _rows(source, second).column("c").to_pylist()
    assert (len(rows) if isinstance(read, int) else [float(value) for value in rows]) == read


@pytest.mark.parametrize(
    ("kind", "lag", "message"),
    [
        ("INTEGER", "1h", "`lag` must be a number, because `c` is one, got `1h`\n\nhint: write, e.g., `lag: 1000`"),
        ("INTEGER", -1, "`lag` must be a number, because `c` is one, got `-1`\n\nhint: write, e.g., `lag: 1000`"),
        ("DATETIME", 5, "`lag` must be a duration, because `c` is a time, got `5`\n\nhint: write, e.g., `lag: 1h`"),
        ("TEXT", "soon", "`lag` must be a duration, because `c` is a time, got `soon`\n\nhint: write, e.g., `lag: 1h`"),
    ],
)
def test_lag_must_suit_the_cursor(
    tmp_path: Path, database: sqlalchemy.Engine, kind: str, lag: Any, message: str
) -> None:
    _run(database, f"CREATE TABLE t (c {kind})")
    assert _error(lambda: _open(tmp_path, "c", lag=lag)) == message


def test_lag_without_a_cursor_is_refused(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (c INTEGER)")
    assert _error(lambda: _open(tmp_path, lag=1)) == (
        "`lag` is for a source with `cursor`\n\nhint: add `cursor`, or remove `lag`"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["v9", "v10"], "`cursor` `c` of `sql://w/t` is text, and `v10` is not an ISO date or time"),
        (["01/02/2024"], "`cursor` `c` of `sql://w/t` is text, and `01/02/2024` is not an ISO date or time"),
        (["2024-01-01", "2024-01-02", "2024-02-01 10:00:00+02:00"],
         "`cursor` `c` of `sql://w/t` is text, and `2024-02-01 10:00:00+02:00` is not an ISO date or time"),
        (["2024-01-01 10:00:00", "2024-01-01T09:00:00"],
         "`cursor` `c` of `sql://w/t` is text in two forms, `2024-01-01 10:00:00` and `2024-01-01T09:00:00`, which do not "
         "sort as times"),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5Z"],
         "`cursor` `c` of `sql://w/t` is text in two forms, `2024-01-01T10:00:00.5Z` and `2024-01-01T10:00:00Z`, which do "
         "not sort as times"),
    ],
)  # fmt: skip
def test_a_text_that_does_not_sort_as_a_time_is_no_cursor(
    tmp_path: Path, database: sqlalchemy.Engine, values: list[str], message: str
) -> None:
    _run(database, "CREATE TABLE t (c TEXT)", *(f"INSERT INTO t VALUES ({value!r})" for value in values))
    assert _error(lambda: _open(tmp_path, "c").newest([])).startswith(message)


def test_a_wrong_text_between_the_ends_is_found_when_it_is_read(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES ('2024-01-01'), ('2024-01-1x'), ('2024-02-01')")
    source = _open(tmp_path, "c")
    version = source.newest([])
    assert "`2024-01-1x` is not an ISO date" in _error(lambda: _rows(source, version))


def test_a_numeric_without_precision_is_exact(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(
        database,
        "CREATE TABLE t (n NUMERIC, p NUMERIC(9,3))",
        "INSERT INTO t VALUES (19.99, 19.995), (12345678901234, 1), (0.1, 0.1), (1e-7, 0), (NULL, NULL)",
    )
    rows = _rows(_open(tmp_path))
    assert rows.schema.types == [pa.string(), pa.decimal128(9, 3)]
    assert rows.column("n").to_pylist() == ["19.99", "12345678901234", "0.1", "0.0000001", None]
    assert rows.column("p").to_pylist()[0] == Decimal("19.995")
    _run(database, "INSERT INTO t (p) VALUES (1.23456)")
    assert "column `p` must be `NUMERIC(9, 3)`, got `1.23456`" in _error(lambda: _rows(_open(tmp_path)))


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
    assert _error(lambda: _rows(_open(tmp_path))) == (
        "`source` `sql://w/t`: column `n` must be `INTEGER`, got `'many'`\n\n"
        "hint: correct the value or the type of the column"
    )


def test_invalid_time_is_reported(tmp_path: Path, database: sqlalchemy.Engine) -> None:
    _run(database, "CREATE TABLE t (at DATETIME)", "INSERT INTO t VALUES ('yesterday')")
    assert _error(lambda: _rows(_open(tmp_path))) == (
        "`source` `sql://w/t` holds a value that does not fit the type of its column: Invalid isoformat string: 'yesterday'\n\n"
        "hint: correct the value or the type of the column"
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
        "`cursor` must be a column of `sql://w/t`, got `update_at`; it has `updated_at`, `n`, `raw`\n\n"
        "hint: did you mean `updated_at`?"
    )
    assert _error(lambda: _open(tmp_path, "raw")) == (
        "`cursor` must be a column with an order, got `raw` of `sql://w/t` with type `BLOB`\n\n"
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
