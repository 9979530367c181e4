"""Which slices of a table passed its checks, as tables, checks and pipelines change."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import CheckFailed
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.lake import lake as lakes
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.verdicts import Checkers, Verdicts

CHECKS: list[Any] = [{"range": {"column": "v", "min": 0}}]


class Lake:
    """A lake with one table that tasks check."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables = open_tables(root)
        self.verdicts = Verdicts(lakes.Lake(root), self.tables)

    def run(self, slice_id: str, task: str = "check", map_index: int = -1) -> Run:
        part = Slice(slice_id, "2024-01-01T00:00:00+00:00")
        task_id = task if map_index < 0 else f"{task}.{map_index}"
        return Run("p", "r", task_id, 1, part, self.root, self.root, self.root, map_index=map_index)

    def put(self, slice_id: str, *values: int) -> None:
        rows = pa.table({"v": pa.array(values, pa.int64())})
        self.tables.replace_slice("t", rows, slice_id=slice_id, number=Slice(slice_id, "").number)

    def check(self, slice_id: str, task: str = "check", map_index: int = -1) -> bool:
        env = Env(self.run(slice_id, task, map_index), lambda conn_id: ConnectionInfo(conn_id, "sqlite"))
        try:
            check_integrity(env, table="t", checks=CHECKS)
        except CheckFailed:
            return False
        return True

    def passed(self, *tasks: str, possible: tuple[str, ...] = ()) -> list[str]:
        return self.verdicts.judge("p", "t", Checkers(tasks or ("check",), possible)).passed

    def reasons(self, *tasks: str) -> dict[str, str]:
        judgement = self.verdicts.judge("p", "t", Checkers(tasks or ("check",)))
        return {withheld.slice: withheld.reason for withheld in judgement.withheld}

    def decide(self, slice_id: str, *tasks: str, accept: bool = True) -> None:
        self.verdicts.decide_earlier(self.run(slice_id, "publish"), "t", tasks or ("check",), accept=accept)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_a_verdict_belongs_to_the_rows(lake: Lake) -> None:
    lake.put("s1", 1, 2)
    lake.put("s2", -1)
    assert lake.reasons() == {"s1": "`check` has not checked it", "s2": "`check` has not checked it"}
    assert lake.check("s1")
    assert not lake.check("s2")
    assert lake.reasons() == {"s2": "`check` failed: range of v"}
    lake.put("s1", 1, 3)
    assert lake.reasons()["s1"] == "its rows have changed since `check` checked it"
    lake.put("s1", 1, 2)
    assert lake.passed() == ["s1"]


def test_compaction_changes_no_verdict(lake: Lake) -> None:
    for slice_id in ("s1", "s2"):
        lake.put(slice_id, 1)
        lake.check(slice_id)
    from deltalake import DeltaTable

    table = DeltaTable(str(lake.root / "t"))
    table.optimize.compact()
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert lake.passed() == ["s1", "s2"]


def test_a_table_without_a_check_is_released_whole(lake: Lake) -> None:
    lake.put("s1", -1)
    assert lake.verdicts.judge("p", "t", Checkers()).passed == ["s1"]


def test_a_table_that_is_computed_as_a_whole_has_one_verdict(lake: Lake) -> None:
    lake.tables.replace_table("t", pa.table({"v": [1]}))
    assert lake.reasons() == {"all": "`check` has not checked it"}
    lake.check("s7")
    assert lake.passed() == ["all"]
    lake.tables.replace_table("t", pa.table({"v": [-1]}))
    assert lake.passed() == []


def test_all_checks_of_the_pipeline_count(lake: Lake) -> None:
    lake.put("s1", 1)
    lake.check("s1")
    assert lake.reasons("check", "other") == {"s1": "`other` has not checked it"}
    lake.check("s1", "other")
    assert lake.passed("check", "other") == ["s1"]


def test_a_task_whose_table_is_known_at_run_time_counts_once_it_has_checked_the_table(lake: Lake) -> None:
    lake.put("s1", -1)
    lake.check("s1", "first")
    assert lake.verdicts.judge("p", "t", Checkers((), ("mapped",))).passed == ["s1"]
    lake.check("s1", "mapped", map_index=3)
    assert lake.verdicts.judge("p", "t", Checkers((), ("mapped",))).passed == []


def test_rows_from_before_a_check_are_accepted_once_if_clients_have_seen_them(lake: Lake) -> None:
    lake.put("s1", -1)  # e.g. published by an older airflow-wall
    lake.put("s2", 1)
    lake.check("s2")
    lake.decide("s2")
    assert lake.passed() == ["s1", "s2"]
    lake.put("s3", 1)
    lake.decide("s4")
    assert lake.reasons() == {"s3": "`check` has not checked it"}
    lake.put("s1", -2)
    assert "changed" in lake.reasons()["s1"]


def test_nothing_is_accepted_before_the_first_release(lake: Lake) -> None:
    lake.put("s1", 1)
    lake.put("s2", 1)
    lake.check("s2")
    lake.decide("s2", accept=False)
    lake.decide("s2")
    assert lake.passed() == ["s2"]


def test_a_check_with_another_name_releases_nothing_that_was_rejected(lake: Lake) -> None:
    for slice_id, value in (("s1", 1), ("s2", -1), ("s3", 1)):
        lake.put(slice_id, value)
        lake.check(slice_id, "check")
    lake.decide("s3")
    lake.check("s3", "renamed")
    lake.decide("s3", "renamed")
    assert lake.passed("renamed") == ["s1", "s3"]
    assert lake.reasons("renamed") == {"s2": "`renamed` has not checked it"}


def test_a_dropped_slice_is_not_withheld_and_can_be_written_again(lake: Lake) -> None:
    lake.put("s1", 1)
    lake.put("s2", -1)
    lake.check("s2")
    assert lake.tables.drop_slice("t", "s2") == 1
    assert lake.tables.drop_slice("t", "s2") == 0
    assert "s2" not in lake.reasons()
    lake.put("s2", -1)
    assert lake.reasons()["s2"] == "`check` failed: range of v"
    assert lake.tables.read("t").column("v").to_pylist() == [1, -1]


def test_rejected_rows_are_no_part_of_a_baseline(lake: Lake) -> None:
    """Days 1 and 2 are usual, day 3 is rejected, and day 4 is usual again."""
    checks = [{"drift": {"column": "v", "max_psi": 0.25}}]
    for day, first in ((1, 0), (2, 0), (3, 200), (4, 0)):
        slice_id = f"2024010{day}T000000Z"
        lake.put(slice_id, *range(first, first + 100))
        env = Env(lake.run(slice_id), lambda conn_id: ConnectionInfo(conn_id, "sqlite"))
        if day == 3:
            with pytest.raises(CheckFailed):
                check_integrity(env, table="t", checks=checks)
        else:
            check_integrity(env, table="t", checks=checks)
    assert lake.passed() == ["20240101T000000Z", "20240102T000000Z", "20240104T000000Z"]


def test_a_key_of_a_rejected_slice_may_come_again(lake: Lake) -> None:
    checks: list[Any] = [*CHECKS, {"unique": {"key": ["v"]}}]
    lake.put("20240101T000000Z", 1, -5)
    lake.put("20240102T000000Z", 1)
    for day, passes in ((1, False), (2, True)):
        env = Env(lake.run(f"2024010{day}T000000Z"), lambda conn_id: ConnectionInfo(conn_id, "sqlite"))
        with contextlib.nullcontext() if passes else pytest.raises(CheckFailed, match="range of v"):
            check_integrity(env, table="t", checks=checks)
