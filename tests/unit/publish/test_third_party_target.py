"""A target that another package brings by an entry point takes part in a release as ours do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from installed_packages import installed, write_package
from publish_lab import SQL, Lab, scores

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ReleaseError
from airflow_wall.publish.backends import parse_target

TARGET = '''
import json
import shutil
from pathlib import Path

from airflow_wall.publish.targets.base import Target


class BoxTarget(Target):
    """A directory of JSON files."""

    form = "box://CONN/NAME"

    def open(self, site):
        return BoxWriter(Path(site.connections(self.conn_id).host) / self.name, self.name)


class BoxWriter:
    """Writes a directory per version, and a file that names the version that readers see."""

    reversible = True

    def __init__(self, folder, pointer):
        self.folder = folder
        self.pointer = pointer

    @property
    def place(self):
        return self

    def shown(self, pointer):
        path = self.folder / "current"
        return path.read_text() if path.exists() else None

    def show(self, moves):
        version = moves[self.pointer]
        if version is None:
            (self.folder / "current").unlink(missing_ok=True)
        else:
            (self.folder / "current").write_text(version)

    def stage(self, version, part, rows):
        path = self.folder / version / f"{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows.data.to_pylist()))

    def discard(self, version, part):
        (self.folder / version / f"{part}.json").unlink(missing_ok=True)

    def count(self, version):
        files = (self.folder / version).glob("*.json")
        return {path.stem: len(json.loads(path.read_text())) for path in files}

    def forget(self, keep):
        seen = {*keep, self.shown(self.pointer)}
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if path.is_dir() and path.name not in seen:
                shutil.rmtree(path)
'''


@pytest.fixture
def _box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: Lab) -> Iterator[None]:
    write_package(
        tmp_path / "packages", "boxes", {"boxes.py": TARGET}, {"airflow_wall.targets": {"box": "boxes:BoxTarget"}}
    )
    monkeypatch.delitem(sys.modules, "boxes", raising=False)
    lab.connections["attic"] = ConnectionInfo("attic", "box", host=str(tmp_path / "boxes"))
    with installed(tmp_path / "packages"):
        yield


@pytest.mark.usefixtures("_box")
def test_rows_are_seen_with_the_rest_of_the_release_or_not_at_all(lab: Lab, tmp_path: Path) -> None:
    lab.publish("r1", {"a": SQL, "b": "box://attic/scores"})
    lab.open("r2")
    lab.stage("r2", "b", "box://attic/scores", scores("r2", rows=7))
    assert (tmp_path / "boxes/scores/current").read_text() == "r1"
    lab.stage("r2", "a", SQL, scores("r2", rows=7))
    lab.close("r2", "a", "b")
    folder = tmp_path / "boxes/scores"
    assert (folder / "current").read_text() == "r2"
    assert len(json.loads((folder / "r2/b.json").read_text())) == 7


@pytest.mark.usefixtures("_box")
@pytest.mark.parametrize("to", ["box://attic", "box://attic/a/b", "box:///scores"])
def test_a_wrong_address_says_how_it_is_written(to: str) -> None:
    with pytest.raises(ReleaseError, match="`to` must be `box://CONN/NAME`"):
        parse_target(to)


def test_a_scheme_that_nothing_brings_is_refused() -> None:
    with pytest.raises(ReleaseError, match="`to` must be `files://NAME`"):
        parse_target("box://attic/scores")
