"""Which files of a folder are looked at."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_wall.loader.discover import yaml_files


def test_yaml_files_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.yml", "a-b/x.yaml", "a/z.yaml", "a/b/c.yaml", "a.yaml", "notes.txt", ".hidden.yaml", ".git/d.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "linked.yaml").symlink_to(tmp_path / "b.yml")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in yaml_files(tmp_path)]
    assert found == ["a/b/c.yaml", "a/z.yaml", "a-b/x.yaml", "a.yaml", "b.yml", "linked.yaml"]


def test_one_file_is_itself(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").touch()
    assert list(yaml_files(tmp_path / "x.yaml")) == [tmp_path / "x.yaml"]
