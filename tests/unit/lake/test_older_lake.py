"""
A lake in a folder that an older airflow-wall has written goes on as it was.

`older_lake.tar.gz` is what version 0.1.0 left of the first day of `lake_pipeline`, before a lake could be in a bucket.
"""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
from lake_pipeline import DAYS, run_pipeline

from airflow_wall.lake.lake import Lake
from airflow_wall.models.backends import open_registry

ARCHIVE = Path(__file__).with_name("older_lake.tar.gz")
VARYING = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d(?=\.jsonl$)")
"""Parts of names that differ from run to run: those of data files, and the month of the history."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "older", filter="data")
    return tmp_path / "older"


def names(lake: Path) -> set[str]:
    """Return the names of all files without locks, each with marks for what varies."""
    paths = (path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file() or path.is_symlink())
    return {VARYING.sub("*", path) for path in paths if not path.endswith(".lock")}


def test_the_next_day_in_an_older_lake_leaves_what_two_days_in_a_new_one_leave(older: Path, tmp_path: Path) -> None:
    before = open_registry(Lake(older)).record("m", 1)
    first, *later = DAYS
    continued = run_pipeline(str(older), tmp_path, later)
    expected = run_pipeline(str(tmp_path / "new"), tmp_path)
    assert names(older) == names(tmp_path / "new")
    assert continued["history"] == expected["history"]
    assert (continued["counts"], continued["release"]) == (expected["counts"], expected["release"])
    assert continued["released"][0] == expected["released"][0] == 136
    for table in ("bronze/a", "silver/a"):  # scores may differ in the last digit between versions of libraries
        assert continued["tables"][table] == expected["tables"][table]
    registry = open_registry(Lake(older))
    assert (first, registry.versions("m")) == (1, [1, 2])
    assert registry.record("m", 1) == before
    registry.verify("m", 1)


def test_an_older_airflow_wall_could_read_what_is_written_now(older: Path, tmp_path: Path) -> None:
    run_pipeline(str(tmp_path / "new"), tmp_path, DAYS[:1])
    assert names(tmp_path / "new") == names(older)
    written = [path.relative_to(older) for path in (older / "_wall").rglob("*.json") if "_delta_log" not in path.parts]
    assert len(written) > 20
    for path in written:
        now, before = (set(json.loads((lake / path).read_text())) for lake in (tmp_path / "new", older))
        ignored = set() if path.parts[1] == "releases" else {"nonce"}  # a release with an unknown key is rejected there
        assert now - ignored == before - ignored, path
