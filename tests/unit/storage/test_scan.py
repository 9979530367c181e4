"""Rows of a table as a query over its files."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from airflow_wall.engines.duckdb import connection as duck
from airflow_wall.errors import DataError
from airflow_wall.storage.base import SLICE
from airflow_wall.storage.delta import DeltaStore

DAY = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
ALL_TYPES = {
    "flag": pa.array([True, None]),
    "tiny": pa.array([1, None], pa.int8()),
    "whole": pa.array([2**53 + 1, None], pa.int64()),
    "real": pa.array([1.5, None], pa.float32()),
    "exact": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(20, 2)),
    "day": pa.array([DAY.date(), None], pa.date32()),
    "time": pa.array([DAY, None], pa.timestamp("us")),
    "zoned": pa.array([DAY, None], pa.timestamp("us", tz="UTC")),
    "text": pa.array(["é", None], pa.string()),
    "bytes": pa.array([b"\x00", None], pa.binary()),
    "list": pa.array([[{"a b": 1}], None], pa.list_(pa.struct([("a b", pa.int64())]))),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
}


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(tmp_path / "a lake")


def _put(store: DeltaStore, slice_id: str, **columns: Any) -> None:
    store.replace_slice("b/t", pa.table(columns), slice_id=slice_id, number=7)


def test_rows_of_all_types_come_in_batches_in_their_order(store: DeltaStore) -> None:
    _put(store, "s2", **ALL_TYPES)
    _put(store, "s1", flag=pa.array([False]))
    scan = store.scan("b/t")
    assert scan.count() == 3
    assert sum(batch.num_rows for batch in scan.batches(rows=2_048)) == 3
    rows = scan.to_table()
    assert rows.schema == store.schema("b/t")
    assert rows.column("flag").to_pylist() == [False, True, None]
    assert rows.slice(1).to_pydict() == pa.table(ALL_TYPES).to_pydict()


def test_a_relation_is_an_input_of_a_query(store: DeltaStore) -> None:
    _put(store, "s1", a=[1, 2])
    _put(store, "s2", a=[4])
    scan = store.scan("b/t", columns=["a", SLICE])
    with duck.connect() as database:
        scan.relation(database).create_view("rows")
        duck.seal(database, scan.paths)
        query = f"SELECT {SLICE}, sum(a)::BIGINT FROM rows GROUP BY ALL ORDER BY ALL"
        assert database.sql(query).fetchall() == [("s1", 3), ("s2", 4)]


def test_a_sealed_query_reads_no_file_of_another_table(store: DeltaStore, tmp_path: Path) -> None:
    _put(store, "s1", a=[1])
    other = tmp_path / "other.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS a) TO '{other}'")
    condition = f"a IN (SELECT a FROM read_parquet('{other}'))"
    with pytest.raises(DataError, match="file system operations are disabled"):
        store.scan("b/t", where=condition).to_table()


@pytest.mark.parametrize("name", ["filename", "file_index", "file_row_number"])
def test_columns_may_have_names_that_duckdb_gives(store: DeltaStore, name: str) -> None:
    _put(store, "s1", **{name: ["x", "y"]})
    _put(store, "s2", **{name: ["z"]})
    assert store.scan("b/t", columns=[name, SLICE]).to_table().to_pydict() == {
        name: ["x", "y", "z"],
        SLICE: ["s1", "s1", "s2"],
    }


def test_a_table_without_rows_has_its_columns(store: DeltaStore) -> None:
    _put(store, "s1", **ALL_TYPES)
    _put(store, "s1")
    scan = store.scan("b/t")
    assert (scan.count(), scan.to_table().num_rows, scan.to_table().schema) == (0, 0, store.schema("b/t"))
