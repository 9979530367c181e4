"""Files that are touched, corrected, restored and late, and the slices that were computed from their rows."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.transform import transform
from airflow_wall.lake import lake as lakes
from airflow_wall.sources import digests
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import IngestLedger
from airflow_wall.storage.lineage import Lineage


class Lake:
    """A lake with two tables: `bronze/t` holds what lands, and `silver/t` is computed from it slice by slice."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.storage = root / "lake"
        self.landing = self.storage / "landing"
        self.landing.mkdir(parents=True)
        self.tables = open_tables(self.storage)
        self.lineage = Lineage(lakes.Lake(self.storage), self.tables)

    def env(self, slice_id: str, task: str) -> Env:
        run = Run("p", f"r-{slice_id}", task, 1, Slice(slice_id, slice_id), self.storage, self.root, self.root)
        return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="warehouse.db"))

    def put(self, name: str, text: str) -> Path:
        (self.landing / name).write_text(text)
        return self.landing / name

    def ingest(self, slice_id: str, **arguments: Any) -> dict[str, Any]:
        return ingest(self.env(slice_id, "load"), **{"source": "landing", "target": "bronze/t", **arguments})

    def transform(self, slice_id: str, **arguments: Any) -> dict[str, Any]:
        defaults = {"inputs": {"raw": "bronze/t"}, "target": "silver/t", "sql": "SELECT id, v * 10 AS w FROM raw"}
        return transform(self.env(slice_id, "clean"), **{**defaults, **arguments})

    def run(self, slice_id: str) -> dict[str, Any]:
        result = self.ingest(slice_id)
        self.transform(slice_id)
        return result

    def rows(self, table: str) -> list[tuple[str, Any]]:
        rows = self.tables.read(table, hidden=True).to_pylist()
        return sorted((row["_wall_slice"], *(row[name] for name in row if name[0] != "_")) for row in rows)

    def stale(self) -> dict[str, list[str | None]]:
        tables: dict[str, list[str | None]] = {}
        for stale in self.lineage.stale():
            tables.setdefault(stale.part.table, []).append(stale.part.slice)
        return tables


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _touch(path: Path) -> None:
    path.touch()


def _set_back(path: Path) -> None:
    os.utime(path, (1, 1))


def _copy(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def _restore(path: Path) -> None:
    text = path.read_text()
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("change", [_touch, _set_back, _copy, _restore])
def test_a_file_with_the_same_content_is_the_same(lake: Lake, change: Any) -> None:
    path = lake.put("a.csv", "id,v\n1,1\n2,2\n")
    lake.run("s1")
    change(path)
    assert check_new_data(lake.env("s2", "check"), source="landing")["new"] == 0
    assert lake.run("s2")["files"] == 0
    assert lake.rows("silver/t") == [("s1", 1, 10), ("s1", 2, 20)]
    assert lake.stale() == {}


def test_a_corrected_file_changes_its_own_slice_and_no_table_of_another_date(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.put("b.csv", "id,v\n2,2\n")
    lake.run("s1")
    lake.put("c.csv", "id,v\n3,3\n")
    lake.run("s2")
    lake.put("a.csv", "id,v\n1,5\n")
    lake.put("d.csv", "id,v\n4,4\n")
    with caplog.at_level(logging.INFO):
        result = lake.run("s3")
    assert (result["rows"], result["corrected"]) == (1, {"s1": ["landing/a.csv"]})
    assert result["stale"] == {"silver/t": ["s1"]}
    assert "slice s1 took newer rows of `landing/a.csv`" in caplog.text
    assert "silver/t: `s1`; run these dates again" in caplog.text
    assert lake.rows("bronze/t") == [("s1", 1, 5), ("s1", 2, 2), ("s2", 3, 3), ("s3", 4, 4)]
    assert lake.rows("silver/t") == [("s1", 1, 10), ("s1", 2, 20), ("s2", 3, 30), ("s3", 4, 40)]
    assert lake.stale() == {"silver/t": ["s1"]}
    lake.transform("s1")
    assert lake.rows("silver/t") == [("s1", 1, 50), ("s1", 2, 20), ("s2", 3, 30), ("s3", 4, 40)]
    assert lake.stale() == {}
    assert lake.run("s4")["files"] == 0


def test_a_correction_that_is_taken_back_makes_nothing_stale(lake: Lake) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.run("s1")
    lake.put("a.csv", "id,v\n1,2\n")
    lake.run("s2")
    assert lake.stale() == {"silver/t": ["s1"]}
    lake.put("a.csv", "id,v\n1,1\n")
    assert lake.run("s3")["corrected"] == {"s1": ["landing/a.csv"]}
    assert lake.rows("bronze/t") == [("s1", 1, 1)]
    assert lake.stale() == {}


def test_a_slice_that_runs_again_after_its_correction_keeps_it(lake: Lake) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.run("s1")
    lake.put("a.csv", "id,v\n1,2\n")
    lake.run("s2")
    lake.run("s1")
    assert (lake.rows("bronze/t"), lake.rows("silver/t")) == ([("s1", 1, 2)], [("s1", 1, 20)])
    assert lake.stale() == {}


def test_an_empty_file_that_gets_rows_keeps_its_slice(lake: Lake) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.put("b.csv", "id,v\n")
    lake.run("s1")
    lake.put("b.csv", "id,v\n2,2\n")
    assert lake.run("s2")["corrected"] == {"s1": ["landing/b.csv"]}
    lake.put("a.csv", "")
    assert lake.run("s3")["corrected"] == {"s1": ["landing/a.csv"]}
    assert lake.rows("bronze/t") == [("s1", 2, 2)]


def test_a_deleted_file_drops_nothing(lake: Lake) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    path = lake.put("b.csv", "id,v\n2,2\n")
    lake.run("s1")
    path.unlink()
    lake.put("a.csv", "id,v\n1,7\n")
    lake.run("s2")
    assert lake.rows("bronze/t") == [("s1", 1, 7), ("s1", 2, 2)]


def test_what_was_computed_from_a_stale_slice_is_stale_too(lake: Lake) -> None:
    for slice_id, name in (("s1", "a.csv"), ("s2", "b.csv")):
        lake.put(name, "id,v\n1,1\n")
        lake.run(slice_id)
        lake.transform(slice_id, inputs={"raw": "silver/t"}, target="gold/t", sql="SELECT sum(w) AS s FROM raw")
    full = {"inputs": {"raw": "gold/*"}, "target": "total", "sql": "SELECT sum(s) AS s FROM raw", "mode": "full"}
    lake.transform("s2", **full)
    lake.put("a.csv", "id,v\n1,2\n")
    assert lake.ingest("s3")["stale"] == {"silver/t": ["s1"], "gold/t": ["s1"], "total": ["all"]}
    (whole,) = [stale for stale in lake.lineage.stale(pipeline="p") if stale.part.table == "total"]
    assert (whole.pipeline, whole.task, whole.run_slice) == ("p", "clean", "s2")
    assert lake.lineage.stale(pipeline="q") == []
    lake.transform("s1")
    assert lake.stale() == {"gold/t": ["s1"], "total": [None]}
    lake.transform("s1", inputs={"raw": "silver/t"}, target="gold/t", sql="SELECT sum(w) AS s FROM raw")
    lake.transform("s1", **full)
    assert lake.stale() == {}
    assert lake.rows("total") == [(None, 30)]


def test_a_write_that_died_before_its_record_counts_as_stale(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.run("s1")
    lake.put("a.csv", "id,v\n1,2\n")
    lake.ingest("s1")
    with monkeypatch.context() as patch:
        patch.setattr(Lineage, "record", lambda *_, **__: sys.exit(9))
        with pytest.raises(SystemExit):
            lake.transform("s1")
    lake.put("a.csv", "id,v\n1,1\n")
    lake.ingest("s1")  # the recorded inputs again, but the table holds other rows
    assert lake.stale() == {"silver/t": ["s1"]}
    lake.transform("s1")
    assert lake.stale() == {}


def test_a_lake_of_an_older_version_is_not_read_again(lake: Lake) -> None:
    path = lake.put("a.csv", "id,v\n1,1\n")
    old = SourceVersion("landing/a.csv", f"{path.stat().st_size}-{path.stat().st_mtime_ns}", path.stat().st_size)
    IngestLedger(lakes.Lake(lake.storage)).record("p", "bronze/t", "s1", {old: 1})
    assert check_new_data(lake.env("s2", "check"), source="landing") == {
        "new": 0, "processed": 1, "source": "landing", "slice": "s2",
    }  # fmt: skip
    path.touch()  # its digest has been recorded
    assert check_new_data(lake.env("s3", "check"), source="landing")["new"] == 0


def test_content_is_read_only_if_a_file_has_changed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lake.put("a.csv", "id,v\n1,1\n")
    os.utime(path, (1, 1))
    reads: list[Path] = []
    read = digests._digest
    monkeypatch.setattr(digests, "_digest", lambda path: reads.append(path) or read(path))
    monkeypatch.setattr(digests, "_SETTLED", -60_000_000_000)  # its change time is that of this test
    for slice_id in ("s1", "s2", "s3"):
        check_new_data(lake.env(slice_id, "check"), source="landing")
    assert reads == [path]
    monkeypatch.setattr(digests, "_SETTLED", 2_000_000_000)
    check_new_data(lake.env("s4", "check"), source="landing")
    assert reads == [path, path]  # it changed less than two seconds before it was read


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', '{"format": 1, "files": {"landing/a.csv": [1, 2, 3]}}'])
def test_lost_digests_only_cost_reading(lake: Lake, text: str) -> None:
    lake.put("a.csv", "id,v\n1,1\n")
    lake.run("s1")
    (cache,) = (lake.storage / "_wall/digests").glob("*.json")
    cache.write_text(text)
    assert lake.run("s2")["files"] == 0
    assert lake.rows("silver/t") == [("s1", 1, 10)]
