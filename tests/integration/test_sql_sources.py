"""
Postgres as a source: every type of its columns comes in exactly, or with one message that can be followed.

Waits for: a Postgres, shared with other tests.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.storage.backends import open_tables

pytestmark = pytest.mark.integration

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE everything (
  id int, big bigint, plain numeric, fixed numeric(12,2), real8 double precision, flag boolean, words text, kind mood,
  day date, at timestamp, zoned timestamptz, clock time, clockz timetz, span interval, tags text[], numbers numeric[],
  doc json, docb jsonb, code uuid, raw bytea, address inet, price money, bits bit(3), during int4range
);
INSERT INTO everything VALUES (
  1, 9007199254740993, 12345678901234567890.123456789012345678901, 19.99, 0.1, true, '007', 'ok',
  '0001-01-01', '2024-01-01 12:00:00.000001', '2024-01-01 12:00:00+02', '24:00:00', '10:30+02', '1 mon 2 days 03:00',
  ARRAY['a', NULL, 'b"c'], ARRAY[1.10, 12345678901234567890.5], '{"n": 1.10, "n": 2}', '{"big": 12345678901234567890.10}',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\xdeadbeef', '10.0.0.0/8', '19.99', B'101', '[1,5)'
);
INSERT INTO everything (id, plain) VALUES (2, 'NaN'), (3, 19.90), (4, NULL);
"""


@pytest.fixture
def schema(postgres: ConnectionInfo) -> Iterator[str]:
    with _database(postgres) as database:
        database.execute("CREATE SCHEMA shop")
        database.execute("SET search_path = shop")
        database.execute(TYPES)
    yield "shop"
    with _database(postgres) as database:
        database.execute("DROP SCHEMA shop CASCADE")


def _database(known: ConnectionInfo) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=known.host,
        port=known.port,
        user=known.login,
        password=known.password,
        dbname=known.schema,
        autocommit=True,
    )


def _env(folder: Path, known: ConnectionInfo, slice_id: str = "s1") -> Env:
    run = Run("p", "r", "load", 1, Slice(slice_id, slice_id), folder / "lake", folder, folder)
    return Env(run, lambda _: known)


def test_every_type_is_read_exactly(tmp_path: Path, postgres: ConnectionInfo, schema: str) -> None:
    ingest(_env(tmp_path, postgres), source=f"sql://db/{schema}.everything", target="bronze/t")
    rows = open_tables(tmp_path / "lake").read("bronze/t")
    first = rows.to_pylist()[0]
    assert first == {
        "id": 1, "big": 9007199254740993, "plain": "12345678901234567890.123456789012345678901", "fixed": Decimal("19.99"),
        "real8": 0.1, "flag": True, "words": "007", "kind": "ok", "day": datetime.date(1, 1, 1),
        "at": datetime.datetime(2024, 1, 1, 12, 0, 0, 1),
        "zoned": datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC), "clock": "24:00:00", "clockz": "10:30:00+02",
        "span": "1 mon 2 days 03:00:00", "tags": '["a",null,"b\\"c"]', "numbers": "[1.10,12345678901234567890.5]",
        "doc": '{"n": 1.10, "n": 2}', "docb": '{"big": 12345678901234567890.10}',
        "code": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "raw": bytes.fromhex("deadbeef"), "address": "10.0.0.0/8",
        "price": "$19.99", "bits": "101", "during": "[1,5)",
    }  # fmt: skip
    assert rows.column("plain").to_pylist()[1:] == ["NaN", "19.90", None]


@pytest.mark.parametrize(
    ("column", "value"), [("day", "infinity"), ("at", "-infinity"), ("zoned", "infinity"), ("day", "4713-01-01 BC")]
)
def test_a_time_that_is_no_time_names_the_way_out(
    tmp_path: Path, postgres: ConnectionInfo, schema: str, column: str, value: str
) -> None:
    with _database(postgres) as database:
        database.execute(f"INSERT INTO {schema}.everything (id, {column}) VALUES (9, '{value}')")
    with pytest.raises(DataError) as caught:
        ingest(_env(tmp_path, postgres), source=f"sql://db/{schema}.everything", target="bronze/t")
    assert f"`source` `sql://db/{schema}.everything` holds a value that cannot be read" in caught.value.message
    assert "name the view in `source`" in str(caught.value.hint)


def test_rows_that_commit_late_are_read_with_lag(tmp_path: Path, postgres: ConnectionInfo, schema: str) -> None:
    sql = {"source": f"sql://db/{schema}.orders", "cursor": "changed", "lag": "1h"}
    with _database(postgres) as database, _database(postgres) as other:
        database.execute(f"CREATE TABLE {schema}.orders (id serial, changed timestamptz DEFAULT clock_timestamp())")
        with other.transaction():
            other.execute(f"INSERT INTO {schema}.orders DEFAULT VALUES")  # the first one, and it commits last
            database.execute(f"INSERT INTO {schema}.orders DEFAULT VALUES")
            assert ingest(_env(tmp_path, postgres), target="bronze/o", **sql)["rows"] == 1
        database.execute(f"INSERT INTO {schema}.orders (changed) SELECT max(changed) FROM {schema}.orders")  # a tie
        database.execute(f"INSERT INTO {schema}.orders (changed) VALUES (NULL)")
    assert check_new_data(_env(tmp_path, postgres, "s2"), **sql)["new"] == 1
    result = ingest(_env(tmp_path, postgres, "s2"), target="bronze/o", **sql)
    assert (result["rows"], len(result["warnings"])) == (2, 1)
    assert sorted(open_tables(tmp_path / "lake").read("bronze/o").column("id").to_pylist()) == [1, 2, 3]
    assert check_new_data(_env(tmp_path, postgres, "s3"), **sql)["new"] == 0


def test_a_numeric_may_get_a_type_by_the_contract(tmp_path: Path, postgres: ConnectionInfo, schema: str) -> None:
    with _database(postgres) as database:
        database.execute(f"CREATE TABLE {schema}.prices (price numeric)")
        database.execute(f"INSERT INTO {schema}.prices VALUES (19.99), (5)")
    contract = {"columns": {"price": "decimal(12,2)"}}
    ingest(_env(tmp_path, postgres), source=f"sql://db/{schema}.prices", target="bronze/p", contract=contract)
    rows = open_tables(tmp_path / "lake").read("bronze/p")
    assert rows.schema.field("price").type == pa.decimal128(12, 2)
    assert rows.column("price").to_pylist() == [Decimal("19.99"), Decimal("5.00")]
