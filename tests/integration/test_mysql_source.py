"""
MySQL's protocol as a source, on a MariaDB: types, cursors with a key, and a connection that cannot be used.

Waits for: a MariaDB, shared with other tests.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
import pytest

from airflow_wall.connections.databases import TARGET_TYPES, sql_engine
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.get_credentials import get_credentials
from airflow_wall.jobs.ingest import ingest
from airflow_wall.storage.backends import open_tables

pytestmark = pytest.mark.integration

TYPES = """
CREATE TABLE everything (
  id INT, big BIGINT UNSIGNED, plain DECIMAL, fixed DECIMAL(12,2), huge DECIMAL(65,10), real8 DOUBLE, flag BOOLEAN,
  words VARCHAR(20), kind ENUM('sad', 'ok'), kinds SET('a', 'b'), day DATE, at DATETIME(6), moment TIMESTAMP(6) NULL,
  clock TIME(3), years YEAR, doc JSON, raw BLOB, bits BIT(3)
) CHARACTER SET utf8mb4
"""
ROW = """
INSERT INTO everything VALUES (
  1, 18446744073709551615, 12, 19.99, 1234567890123456789012345678901234567890.5, 0.1, TRUE, '007 ✓', 'ok', 'a,b',
  '2024-02-29', '2024-01-01 12:00:00.000001', '2024-01-01 10:00:00.5', '-25:30:00.250', 2024, '{"n": 1.10}', x'deadbeef',
  b'101'
)
"""


@pytest.fixture
def shop(mariadb: ConnectionInfo) -> ConnectionInfo:
    _run(mariadb, "CREATE OR REPLACE DATABASE shop")
    return mariadb


def _run(known: ConnectionInfo, *statements: str) -> None:
    database = pymysql.connect(
        host=known.host, port=known.port, user=known.login, password=known.password or "", database=known.schema,
        charset="utf8mb4", autocommit=True, init_command="SET time_zone = '+00:00'",
    )  # fmt: skip
    with database, database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _env(folder: Path, known: ConnectionInfo, slice_id: str = "s1") -> Env:
    part = Slice(slice_id, f"2024-01-0{slice_id[-1]}T00:00:00+00:00")
    return Env(Run("p", "r", "load", 1, part, folder / "lake", folder, folder), lambda _: known)


def test_every_type_is_read_exactly(tmp_path: Path, shop: ConnectionInfo) -> None:
    _run(shop, TYPES, ROW)
    ingest(_env(tmp_path, shop), source="sql://shop/everything", target="bronze/t")
    assert open_tables(tmp_path / "lake").read("bronze/t").to_pylist() == [
        {
            "id": 1, "big": Decimal(18446744073709551615), "plain": Decimal(12), "fixed": Decimal("19.99"),
            "huge": "1234567890123456789012345678901234567890.5000000000", "real8": 0.1, "flag": 1, "words": "007 ✓",
            "kind": "ok", "kinds": "a,b", "day": datetime.date(2024, 2, 29),
            "at": datetime.datetime(2024, 1, 1, 12, 0, 0, 1),
            "moment": datetime.datetime(2024, 1, 1, 10, 0, 0, 500_000, tzinfo=datetime.UTC), "clock": "-25:30:00.250",
            "years": 2024, "doc": '{"n": 1.10}', "raw": bytes.fromhex("deadbeef"), "bits": 5,
        }
    ]  # fmt: skip


def test_a_row_that_comes_again_supersedes_its_older_version(tmp_path: Path, shop: ConnectionInfo) -> None:
    sql: dict[str, Any] = {"source": "sql://shop/orders", "cursor": "changed", "lag": "1h"}
    to: dict[str, Any] = {"target": "bronze/o", "key": ["id"]}
    _run(
        shop, "CREATE TABLE orders (id INT PRIMARY KEY, v INT, changed DATETIME(6))",
        "INSERT INTO orders VALUES (1, 1, '2024-01-01 10:00:00'), (2, 2, '2024-01-01 12:00:00')",
    )  # fmt: skip
    ingest(_env(tmp_path, shop), **sql, **to)
    _run(
        shop, "UPDATE orders SET v = 20, changed = '2024-01-02 09:00:00' WHERE id = 2",
        "INSERT INTO orders VALUES (3, 3, '2024-01-01 12:00:00'), (4, 4, '2024-01-01 11:59:00'), (5, 5, NULL)",
    )  # fmt: skip
    assert check_new_data(_env(tmp_path, shop, "s2"), **sql)["new"] == 1
    result = ingest(_env(tmp_path, shop, "s2"), **sql, **to)
    assert (result["rows"], len(result["warnings"])) == (3, 1)
    tables = open_tables(tmp_path / "lake")
    assert sorted((row["id"], row["v"]) for row in tables.read("bronze/o").to_pylist()) == [
        (1, 1),
        (2, 20),
        (3, 3),
        (4, 4),
    ]
    first = tables.read("bronze/o", slices=["s1"]).to_pylist()
    assert sorted((row["id"], row["v"]) for row in first) == [(1, 1), (2, 2)]
    assert check_new_data(_env(tmp_path, shop, "s3"), **sql)["new"] == 0


def test_a_zero_date_is_one_error(tmp_path: Path, shop: ConnectionInfo) -> None:
    _run(shop, "CREATE TABLE days (day DATE)", "SET sql_mode = ''", "INSERT INTO days VALUES ('0000-00-00')")
    with pytest.raises(DataError, match="column `day` must be `DATE`, got `'0000-00-00'`"):
        ingest(_env(tmp_path, shop), source="sql://shop/days", target="bronze/d")


def test_a_wrong_login_and_a_target_are_refused(tmp_path: Path, shop: ConnectionInfo) -> None:
    assert get_credentials(_env(tmp_path, shop), conn_id="shop")["login"] == "wall"
    with pytest.raises(ConnectionFault, match=r"was refused: .*Access denied") as refused:
        sql_engine(replace(shop, password="wrong-secret"), project=tmp_path)
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(ConnectionFault, match="has type `mysql`, which can only be read"):
        sql_engine(shop, project=tmp_path, types=TARGET_TYPES)
