from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError, WallError
from airflow_wall.job import Run, Slice
from airflow_wall.lake.lake import Lake
from airflow_wall.sources.backends import open_source
from airflow_wall.sources.kinds.base import OpenSource, SourceSite
from airflow_wall.sources.manifest import Manifest, claim, claim_for_table
from airflow_wall.storage.ledger import IngestLedger


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "landing"
    for name in ("domain_1/a.csv", "domain_1/b.csv", "domain_2/a.csv"):
        _put(folder / name)
    return folder


def _put(path: Path, text: str = "n\n1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _run(root: Path, slice_id: str = "s1", pipeline: str = "scores") -> Run:
    return Run(pipeline, "r", "check", 1, Slice(slice_id, slice_id), root / "lake", root, root)


def _none(conn_id: str) -> ConnectionInfo:
    raise AssertionError(conn_id)


def _open(run: Run, source: str) -> OpenSource:
    return open_source(source, SourceSite(run, _none), {})


def _claim(run: Run, source: str) -> Manifest:
    return claim(run, _open(run, source))


def _claimed(run: Run, source: str) -> list[str]:
    return [version.uri for version in claim_for_table(run, _open(run, source), target="bronze/a").versions]


def _uris(manifest: Manifest) -> list[str]:
    return [version.uri for version in manifest.versions]


def _error(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_a_claim_is_the_same_whatever_lands_later(tmp_path: Path, landing: Path) -> None:
    first = _claim(_run(tmp_path), "landing")
    assert _uris(first) == ["landing/domain_1/a.csv", "landing/domain_1/b.csv", "landing/domain_2/a.csv"]
    _put(landing / "domain_1/c.csv")
    (landing / "domain_1/a.csv").unlink()
    assert _claim(_run(tmp_path), "landing") == first
    assert _claim(_run(tmp_path), "landing/") == first


def test_what_is_processed_is_not_claimed_again_unless_it_changed(tmp_path: Path, landing: Path) -> None:
    first = _claim(_run(tmp_path, "s1"), "landing")
    IngestLedger(Lake(tmp_path / "lake")).record("scores", "bronze/t", "s1", dict.fromkeys(first.versions, 1))
    assert _claim(_run(tmp_path, "s2"), "landing") == Manifest("landing", (), 3)
    _put(landing / "domain_2/a.csv", "n\n1\n2\n")
    third = _claim(_run(tmp_path, "s3"), "landing")
    assert (_uris(third), third.processed) == (["landing/domain_2/a.csv"], 2)
    assert len(_claim(_run(tmp_path, "s1", pipeline="other"), "landing").versions) == 3


def test_tries_that_claim_at_once_agree(tmp_path: Path, landing: Path) -> None:
    start = threading.Barrier(4)

    def one(number: int) -> Manifest:
        start.wait()
        _put(landing / f"domain_1/late-{number}.csv")
        return _claim(_run(tmp_path), "landing")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(4)))) == 1


def test_a_claim_is_a_readable_document_of_our_state(tmp_path: Path, landing: Path) -> None:
    _claim(_run(tmp_path), "landing/domain_2")
    (path,) = (tmp_path / "lake/_wall/manifests/scores/s1").glob("*.json")
    status = (landing / "domain_2/a.csv").stat()
    document = json.loads(path.read_text())
    assert document.pop("nonce")
    assert document == {
        "format": 1,
        "other_dates": [],
        "pipeline": "scores",
        "processed": 0,
        "slice": "s1",
        "source": "landing/domain_2",
        "versions": [
            {
                "uri": "landing/domain_2/a.csv",
                "version": "sha256:" + hashlib.sha256((landing / "domain_2/a.csv").read_bytes()).hexdigest(),
                "size": 4,
                "since": None,
                "cursor": None,
                "stamp": f"{status.st_size}-{status.st_mtime_ns}",
                "moves": False,
            }
        ],
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("landing", ["domain_1/a.csv", "domain_1/b.csv", "domain_2/a.csv"]),
        ("landing/domain_1", ["domain_1/a.csv", "domain_1/b.csv"]),
        ("landing/domain_1/b.csv", ["domain_1/b.csv"]),
        ("landing/*/a.csv", ["domain_1/a.csv", "domain_2/a.csv"]),
        ("landing/**/*.csv", ["domain_1/a.csv", "domain_1/b.csv", "domain_2/a.csv"]),
    ],
)
def test_a_part_of_a_claim_is_read_from_it(tmp_path: Path, landing: Path, source: str, found: list[str]) -> None:
    _claim(_run(tmp_path), "landing")
    _put(landing / "domain_1/late-a.csv")
    _put(landing / "domain_3/a.csv")
    assert _claimed(_run(tmp_path), source) == [f"landing/{name}" for name in found]
    assert len(list((tmp_path / "lake/_wall/manifests/scores/s1").glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("claim_of", "source", "found"),
    [
        ("landing/*/a.csv", "landing/domain_1", ["domain_1/a.csv"]),
        ("landing/**/b.csv", "landing/domain_1", ["domain_1/b.csv"]),
        ("landing/domain_2", "landing/domain_1", ["domain_1/a.csv", "domain_1/b.csv", "domain_1/late.csv"]),
        ("landing/*.csv", "landing/domain_1", ["domain_1/a.csv", "domain_1/b.csv", "domain_1/late.csv"]),
    ],
)
def test_only_a_claim_that_covers_the_source_is_asked(
    tmp_path: Path, landing: Path, claim_of: str, source: str, found: list[str]
) -> None:
    _put(landing / "top.csv")
    _claim(_run(tmp_path), claim_of)
    _put(landing / "domain_1/late.csv")
    assert _claimed(_run(tmp_path), source) == [f"landing/{name}" for name in found]


def test_without_a_claim_the_source_is_claimed(tmp_path: Path, landing: Path) -> None:
    assert len(_claimed(_run(tmp_path), "landing/domain_1")) == 2
    _put(landing / "domain_1/late.csv")
    assert len(_claimed(_run(tmp_path), "landing/domain_1")) == 2


def test_hidden_files_are_left_alone(tmp_path: Path, landing: Path) -> None:
    for name in ("_SUCCESS", ".part.csv", "_tmp/a.csv", ".git/a.csv"):
        _put(landing / name)
    assert len(_claim(_run(tmp_path), "landing").versions) == 3


def test_files_outside_the_lake_have_their_whole_path(tmp_path: Path) -> None:
    path = _put(tmp_path / "elsewhere/a.csv")
    for source in (str(path), f"file://{path}"):
        assert _uris(_claim(_run(tmp_path), source)) == [path.as_posix()]


def test_a_source_that_is_not_there_names_what_is(tmp_path: Path, landing: Path) -> None:
    assert _error(lambda: _claim(_run(tmp_path), "landing/domain_9")) == (
        f"`source` `landing/domain_9`: there is no `{landing}/domain_9`; "
        f"`{landing}` holds `domain_1/`, `domain_2/`\n\n"
        "hint: create it, or correct the path (relative paths are below `storage`)"
    )
    _claim(_run(tmp_path), "landing")
    assert "there is no" in _error(lambda: _claimed(_run(tmp_path), "landing/domain_9"))


def test_a_pattern_that_nothing_matches_names_what_is_there(tmp_path: Path, landing: Path) -> None:
    assert _error(lambda: _claim(_run(tmp_path), "landing/domain_1/*.parquet")) == (
        f"`source` `landing/domain_1/*.parquet`: no file in `{landing}/domain_1` matches `*.parquet`; "
        "it holds `a.csv`, `b.csv`\n\n"
        "hint: put the files there, or correct the path (relative paths are below `storage`; "
        "names that begin with `.` or `_` are ignored)"
    )


def test_empty_folder_is_reported(tmp_path: Path, landing: Path) -> None:
    (landing / "empty").mkdir()
    assert _error(lambda: _claim(_run(tmp_path), "landing/empty")) == (
        f"`source` `landing/empty`: no file in `{landing}/empty` matches `*`; it holds nothing\n\n"
        "hint: put the files there, or correct the path (relative paths are below `storage`; "
        "names that begin with `.` or `_` are ignored)"
    )


def test_folder_emptied_after_processing_causes_no_error(tmp_path: Path, landing: Path) -> None:
    first = _claim(_run(tmp_path, "s1"), "landing/domain_2")
    IngestLedger(Lake(tmp_path / "lake")).record("scores", "bronze/t", "s1", dict.fromkeys(first.versions, 1))
    (landing / "domain_2/a.csv").unlink()
    assert _claim(_run(tmp_path, "s2"), "landing/domain_2") == Manifest("landing/domain_2", (), 0)


@pytest.mark.parametrize("scheme", ["ftp", "abfs", "https"])
def test_another_scheme_is_refused(tmp_path: Path, scheme: str) -> None:
    assert _error(lambda: _claim(_run(tmp_path), f"{scheme}://bucket/landing")) == (
        f"`source` must be a path, `file:///path`, `gs://bucket/path`, `s3://bucket/path` or `sql://connection/table`, got `{scheme}://bucket/landing`\n\n"
        f"hint: `{scheme}://` is not supported by this version: copy the files to a path"
    )


@pytest.mark.parametrize("source", ["", "  ", "../landing", "landing/../../x"])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, source: str) -> None:
    assert _error(lambda: _claim(_run(tmp_path), source)) == (
        f"`source` must be a path without `..`, got `{source}`\n\nhint: write a path such as `landing/orders`"
    )


def test_a_broken_manifest_is_named(tmp_path: Path, landing: Path) -> None:
    _claim(_run(tmp_path), "landing")
    (path,) = (tmp_path / "lake/_wall/manifests/scores/s1").glob("*.json")
    path.write_text('{"format": 1, "versions": []}')
    with pytest.raises(WallError) as caught:
        _claim(_run(tmp_path), "landing")
    assert str(caught.value) == (
        f"`{path}` must be the manifest of a slice, got KeyError('source')\n\nhint: restore it from a backup, or remove it"
    )
