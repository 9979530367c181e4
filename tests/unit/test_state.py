"""Documents that processes agree through."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from airflow_wall import state
from airflow_wall.errors import Interrupted, WallError


def test_document_comes_back(tmp_path: Path) -> None:
    state.write(tmp_path / "a" / "b.json", {"x": 1})
    assert state.read(tmp_path / "a" / "b.json") == {"x": 1, "format": state.FORMAT}
    assert state.read(tmp_path / "none.json") is None


def test_only_the_first_create_writes(tmp_path: Path) -> None:
    assert state.create(tmp_path / "b.json", {"x": 1})
    assert not state.create(tmp_path / "b.json", {"x": 2})
    assert state.read(tmp_path / "b.json") == {"x": 1, "format": state.FORMAT}
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_document_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"format": state.FORMAT + 1}))
    with pytest.raises(WallError) as error:
        state.read(path)
    assert str(error.value) == (
        f"`{path}` has format {state.FORMAT + 1}; this airflow-wall reads {state.OLDEST_FORMAT} to {state.FORMAT}\n\n"
        "hint: upgrade airflow-wall on every component, then run again"
    )


def test_foreign_file_is_skipped_as_a_document(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(WallError, match=r"is not a state document of airflow-wall"):
        state.read(tmp_path / "b.json")


def _count(path: Path, times: int) -> None:
    for _ in range(times):
        with state.locked(path):
            found = state.read(path) or {"n": 0}
            state.write(path, {"n": found["n"] + 1})


def test_lock_serialises_processes(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    processes = [multiprocessing.get_context("fork").Process(target=_count, args=(path, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = state.read(path)
    assert found is not None
    assert found["n"] == 60


def test_lock_that_is_held_can_be_refused(tmp_path: Path) -> None:
    with (
        state.locked(tmp_path / "x"),
        pytest.raises(Interrupted, match="is being changed by another process"),
        state.locked(tmp_path / "x", wait=False),
    ):
        pass
