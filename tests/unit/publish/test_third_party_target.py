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

TARGET = (Path(__file__).parents[2] / "box_target.py").read_text()


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
