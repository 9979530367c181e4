"""A table with a key keeps each version of a row in its slice, and shows the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.jobs.ingest import ingest
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import TableStore


class Lake:
    """A lake into which files land, day by day."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ingest(self, day: int, text: str | None, **arguments: Any) -> dict[str, Any]:
        """Land the file of a day, if there is a text, and load the slice of that day."""
        folder = self.root / "landing" / f"{day}"
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / "a.csv").write_text(text)
        date = f"2024-01-{day:02}T00:00:00+00:00"
        run = Run("p", f"run{day}", "load", 1, Slice(f"202401{day:02}T000000Z", date), self.root, self.root, self.root)
        env = Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite"))
        return ingest(env, source=f"landing/{day}", target="bronze/t", **{"key": ["id"], **arguments})

    @property
    def tables(self) -> TableStore:
        return open_tables(self.root)

    def rows(self, **arguments: Any) -> list[tuple[Any, ...]]:
        rows = self.tables.read("bronze/t", **arguments).to_pydict()
        return sorted(zip(*rows.values(), strict=True), key=repr)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_the_whole_table_has_the_newest_version_of_each_row(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,a\n2,b\n")
    lake.ingest(2, "id,v\n2,c\n3,d\n")
    assert lake.rows() == [(1, "a"), (2, "c"), (3, "d")]


def test_a_slice_has_its_own_versions_whatever_later_slices_bring(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,a\n2,b\n2,bb\n")
    lake.ingest(2, "id,v\n2,c\n")
    assert lake.rows(slices=["20240101T000000Z"]) == [(1, "a"), (2, "bb")]
    assert lake.rows(slices=["20240102T000000Z"]) == [(2, "c")]


def test_a_backfill_never_brings_an_older_version_back(lake: Lake) -> None:
    lake.ingest(2, "id,v\n1,new\n")
    lake.ingest(1, "id,v\n1,old\n2,b\n")
    assert lake.rows() == [(1, "new"), (2, "b")]


def test_order_by_decides_before_the_delivery(lake: Lake) -> None:
    lake.ingest(1, "id,v,at\n1,new,2024-05-02\n2,x,\n", order_by="at")
    lake.ingest(2, "id,v,at\n1,old,2024-05-01\n2,y,2024-01-01\n", order_by="at")
    assert [row[:2] for row in lake.rows()] == [(1, "new"), (2, "y")]
    assert lake.rows(columns=["v"]) == [("new",), ("y",)]


def test_checks_of_the_table_see_the_newest_version_of_each_row(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,-5\n2,7\n")
    lake.ingest(2, "id,v\n1,5\n3,9\n")
    run = Run(
        "p", "run2", "check", 1, Slice("20240102T000000Z", "2024-01-02T00:00:00Z"), lake.root, lake.root, lake.root
    )
    checks = [{"unique": {"key": "id"}}, {"range": {"column": "v", "min": 0, "over": "table"}}]
    checks += [{"row_count": {"min": 3, "max": 3, "over": "table"}}, {"sum": {"column": "v", "min": 21, "max": 21}}]
    assert check_integrity(Env(run, lambda _: None), table="bronze/t", checks=checks)["passed"] == 5


def test_a_condition_selects_from_the_current_rows(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,a\n")
    lake.ingest(2, "id,v\n1,b\n")
    assert lake.rows(where="v = 'a'") == []
    assert lake.rows(columns=["v"]) == [("b",)]


def test_the_files_for_spark_hold_the_current_rows(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,a\n")
    lake.ingest(2, "id,v\n1,b\n")
    (path,) = lake.tables.files("bronze/t").paths
    assert pq.read_table(path).to_pylist() == [{"id": 1, "v": "b"}]
    (path,) = lake.tables.files("bronze/t", slices=["20240101T000000Z"]).paths
    assert pq.read_table(path).to_pylist() == [{"id": 1, "v": "a"}]


def test_a_key_of_several_columns_and_other_case(lake: Lake) -> None:
    lake.ingest(1, "Shop,id,v\nx,1,a\ny,1,b\n", key=["shop", "ID"])
    lake.ingest(2, "shop,id,v\nx,1,c\n", key=["shop", "ID"])
    assert lake.rows() == [("x", 1, "c"), ("y", 1, "b")]


def test_a_row_without_a_key_is_bad(lake: Lake) -> None:
    with pytest.raises(DataError, match="line 3: column `id` must not be null"):
        lake.ingest(1, "id,v\n1,a\n,b\n")


@pytest.mark.parametrize(("option", "value"), [("key", ["idd"]), ("order_by", "vv")])
def test_a_column_that_the_source_lacks_is_an_error(lake: Lake, option: str, value: Any) -> None:
    with pytest.raises(DataError, match=r"names the column `.*`, which `source` does not have"):
        lake.ingest(1, "id,v\n1,a\n", **{option: value})


def test_without_a_key_all_rows_count(lake: Lake) -> None:
    lake.ingest(1, "id,v\n1,a\n", key=None)
    lake.ingest(2, "id,v\n1,b\n", key=None)
    assert lake.rows() == [(1, "a"), (1, "b")]
