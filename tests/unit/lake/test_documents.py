"""Documents that several processes change at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_wall.errors import WallError
from airflow_wall.lake.documents import change
from airflow_wall.lake.lake import Lake

ADD = """
import sys
from pathlib import Path
from airflow_wall.lake.documents import change
from airflow_wall.lake.lake import Lake
documents = Lake(Path(sys.argv[1])).documents("d")
for _ in range(25):
    change(documents, "a/count.json", lambda old: {"count": (old or {"count": 0})["count"] + 1})
"""


def test_no_change_of_several_processes_is_lost(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert Lake(tmp_path).documents("d").read("a/count.json") is not None
    document, _ = Lake(tmp_path).documents("d").read("a/count.json") or ({}, "")
    assert document == {"count": 100}


def test_a_stale_tag_is_refused_even_if_the_content_is_the_same_again(tmp_path: Path) -> None:
    documents = Lake(tmp_path).documents("d")
    assert documents.create("x.json", {"a": 1})
    assert not documents.create("x.json", {"a": 2})
    _, first = documents.read("x.json") or ({}, "")
    change(documents, "x.json", lambda _: {"a": 2})
    change(documents, "x.json", lambda _: {"a": 1})
    assert not documents.swap("x.json", {"a": 3}, first)
    document, tag = documents.read("x.json") or ({}, "")
    assert document == {"a": 1}
    assert documents.swap("x.json", {"a": 3}, tag)


def test_keys_are_sorted_and_below_the_prefix(tmp_path: Path) -> None:
    documents = Lake(tmp_path).documents("d")
    assert documents.below() == []
    for key in ("b/2.json", "b/1.json", "a/1.json"):
        documents.create(key, {})
    assert documents.below("b") == ["b/1.json", "b/2.json"]


@pytest.mark.parametrize("key", ["../x.json", "/etc/x.json", "a/../../x.json", ""])
def test_a_key_stays_below_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        Lake(tmp_path).documents("d").read(key)


def test_a_damaged_document_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_wall/d").mkdir(parents=True)
    (tmp_path / "_wall/d/x.json").write_text("{")
    with pytest.raises(WallError, match="not a state document"):
        Lake(tmp_path).documents("d").read("x.json")
