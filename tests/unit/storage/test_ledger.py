from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable

from airflow_wall.lake.lake import Lake
from airflow_wall.storage import ledger as module
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import IngestLedger


def test_what_was_recorded_is_processed_for_its_pipeline_alone(tmp_path: Path) -> None:
    ledger = IngestLedger(Lake(tmp_path))
    assert ledger.processed("p").versions == set()
    assert ledger.record("p", "bronze/a", "s1", {SourceVersion("f/1", "v1"): 3, SourceVersion("f/2", "v1"): 0})
    assert ledger.record("p", "bronze/b", "s1", {SourceVersion("f/3", "v1"): 1})
    assert ledger.processed("p").versions == {("f/1", "v1"), ("f/2", "v1"), ("f/3", "v1")}
    assert ledger.processed("p", table="bronze/b").versions == {("f/3", "v1")}
    assert ledger.processed("q").versions == set()


def test_a_record_again_adds_only_what_is_new(tmp_path: Path) -> None:
    ledger = IngestLedger(Lake(tmp_path))
    ledger.record("p", "t", "s1", {SourceVersion("f/1", "v1"): 3})
    assert not ledger.record("p", "t", "s2", {SourceVersion("f/1", "v1"): 3})
    assert ledger.record("p", "t", "s2", {SourceVersion("f/1", "v1"): 3, SourceVersion("f/1", "v2"): 4})
    rows = DeltaTable(tmp_path / "_wall" / "ledger").to_pyarrow_table().sort_by("version").to_pydict()
    assert (rows["version"], rows["slice"], rows["rows"]) == (["v1", "v2"], ["s1", "s2"], [3, 4])


@pytest.mark.parametrize("round_", range(5))
def test_appends_at_once_are_all_there_and_the_same_one_only_once(tmp_path: Path, round_: int) -> None:
    names = ["a", "b", "c", "c"]
    start = threading.Barrier(len(names))

    def record(name: str) -> bool:
        start.wait()
        return IngestLedger(Lake(tmp_path)).record("p", name, "s", {SourceVersion(f"f/{name}", "v1"): 1})

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(record, names)) == 3
    assert sorted(DeltaTable(tmp_path / "_wall" / "ledger").to_pyarrow_table().column("uri").to_pylist()) == [
        "f/a",
        "f/b",
        "f/c",
    ]


def test_small_files_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_ABOVE", 3)
    ledger = IngestLedger(Lake(tmp_path))
    for number in range(6):
        ledger.record("p", "t", "s", {SourceVersion(f"f/{number}", "v"): 1})
    assert len(DeltaTable(tmp_path / "_wall" / "ledger").file_uris()) < 4
    assert len(ledger.processed("p").versions) == 6
