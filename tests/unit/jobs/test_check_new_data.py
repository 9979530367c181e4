from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.base import SourceVersion
from airflow_wall.storage.ledger import IngestLedger


def _env(root: Path, slice_id: str) -> Env:
    run = Run("scores", "r", "check", 1, Slice(slice_id, slice_id), root / "lake", root, root)
    return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="warehouse.db"))


def test_what_is_new_is_counted_and_claimed(tmp_path: Path) -> None:
    landing = tmp_path / "lake/landing"
    landing.mkdir(parents=True)
    (landing / "a.csv").write_text("n\n1\n")
    expected = {"new": 1, "processed": 0, "source": "landing", "slice": "s1"}
    assert check_new_data(_env(tmp_path, "s1"), source="landing") == expected
    (landing / "b.csv").write_text("n\n2\n")
    assert check_new_data(_env(tmp_path, "s1"), source="landing") == expected
    assert check_new_data(_env(tmp_path, "s2"), source="landing")["new"] == 2


def test_nothing_new_is_printed(tmp_path: Path) -> None:
    landing = tmp_path / "lake/landing"
    landing.mkdir(parents=True)
    path = landing / "a.csv"
    path.write_text("n\n1\n")
    version = SourceVersion("landing/a.csv", f"{path.stat().st_size}-{path.stat().st_mtime_ns}")
    IngestLedger(Lake(tmp_path / "lake")).record("scores", "bronze/t", "s1", {version: 1})
    assert check_new_data(_env(tmp_path, "s2"), source="landing") == {
        "new": 0, "processed": 1, "source": "landing", "slice": "s2",
    }  # fmt: skip


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(DataError, match="there is no"):
        check_new_data(_env(tmp_path, "s1"), source="landing")
