"""
A pipeline leaves the same in a folder and in a bucket.

Waits for: two days of a pipeline in a folder, and the same over the wire.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from google_bucket import connection_values, served_apart
from lake_pipeline import run_pipeline
from lake_stores import of_connection


def test_a_pipeline_leaves_the_same_in_a_folder_and_in_google_cloud_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    expected = run_pipeline(str(tmp_path / "lake"), tmp_path)
    assert (expected["counts"]["gold/scores"], len(expected["versions"]), expected["released"][0]) == (136, 2, 136)
    with served_apart("lake-data") as server:
        of_connection("gs_lake", connection_values(server), monkeypatch)
        assert run_pipeline("gs://gs_lake@lake-data/team/platform", tmp_path) == expected
