"""Readers see the bad rows of a delivery exactly when they see its good rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_wall.errors import DataError
from airflow_wall.storage.base import SOURCE, Commit, SourceVersion
from airflow_wall.storage.delta import DeltaStore

FILE = "landing/a.csv"


class Killed(Exception):
    """The process ended before a commit."""


class Lake:
    """A lake whose writers can be killed before a commit."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.store = DeltaStore(storage)

    def write(
        self,
        good: Sequence[int],
        bad: Sequence[str],
        *,
        slice_id: str = "s1",
        version: str = "1",
        commits: int | None = None,
    ) -> Commit:
        """Write a delivery; `commits` is the number of commits before the process is killed."""

        def fence() -> None:
            nonlocal commits
            if commits is not None:
                commits -= 1
                if commits < 0:
                    raise Killed

        return DeltaStore(self.storage, fence).replace_slice(
            "t",
            pa.table({"a": pa.array(good, pa.int64()), SOURCE: pa.array([FILE] * len(good), pa.string())}),
            slice_id=slice_id,
            number=7,
            sources=[SourceVersion(f"{FILE}-{slice_id}", version)],
            rejected=pa.table({"raw": pa.array(bad, pa.string()), SOURCE: pa.array([FILE] * len(bad), pa.string())}),
        )

    def rows(self) -> tuple[list[int], list[str]]:
        """Return the good and the bad rows that readers see."""
        bad = self.store.read("t_rejected").column("raw").to_pylist() if self.store.exists("t_rejected") else []
        return sorted(self.store.read("t").column("a").to_pylist()), sorted(bad)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_a_delivery_that_is_killed_between_its_tables_shows_nothing(lake: Lake) -> None:
    lake.write([1], ["x"])
    with pytest.raises(Killed):
        lake.write([1, 2], ["y"], version="2", commits=1)
    assert lake.rows() == ([1], ["x"])
    assert lake.store.version("t_rejected") == 0
    assert [path.exists() for path in lake.store.files("t_rejected").paths] == [True]
    lake.write([1, 2], ["y"], version="2")
    assert lake.rows() == ([1, 2], ["y"])


def test_bad_rows_without_a_change_of_the_good_ones_become_visible(lake: Lake) -> None:
    lake.write([1], ["x"])
    lake.write([1], ["y"])
    assert lake.rows() == ([1], ["y"])
    assert not lake.write([1], ["y"]).changed


def test_a_corrected_delivery_takes_its_bad_rows_out(lake: Lake) -> None:
    lake.write([1], ["x"])
    lake.write([3], ["z"], slice_id="s2")
    lake.write([1, 2], [], version="2")
    assert lake.rows() == ([1, 2, 3], ["z"])


def test_a_table_gets_its_first_bad_rows(lake: Lake) -> None:
    lake.write([1], [])
    with pytest.raises(Killed):
        lake.write([1, 2], ["y"], version="2", commits=1)
    assert not lake.store.exists("t_rejected")
    assert lake.store.names("*") == ["t"]
    with pytest.raises(DataError, match="there is no table `t_rejected`"):
        lake.store.read("t_rejected")
    lake.write([1, 2], ["y"], version="2")
    assert lake.rows() == ([1, 2], ["y"])


def test_bad_rows_without_a_good_one_are_visible(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    DeltaStore(tmp_path).replace_slice(
        "t", pa.table({}), slice_id="s1", number=7, rejected=pa.table({"raw": ["x"], SOURCE: [FILE]})
    )
    assert lake.store.read("t_rejected").column("raw").to_pylist() == ["x"]
    lake.write([1], ["x"])
    assert lake.rows() == ([1], ["x"])


def test_bad_rows_of_an_older_lake_stay_visible(lake: Lake) -> None:
    lake.store.replace_slice("t", pa.table({"a": [1]}), slice_id="s1", number=7)
    lake.store.replace_slice("t_rejected", pa.table({"raw": ["x"]}), slice_id="s1", number=7)
    assert lake.rows() == ([1], ["x"])
