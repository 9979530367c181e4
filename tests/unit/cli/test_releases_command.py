"""`airflow-wall releases`: list releases, and show an earlier one again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.release import Releases
from airflow_wall.publish.rows import RowStream

FILES = "files://scores"
WITHHELD = {"table": "gold/scores", "slice": "20130701T000000Z", "reason": "`check` failed: range of score"}


def no_connection(conn_id: str, /) -> None:
    raise AssertionError(conn_id)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two releases of `shop`: of 2013-07-01 with 2 rows, and of 2013-07-02 with 3."""
    monkeypatch.chdir(tmp_path)
    storage = tmp_path / "lake"
    releases = Releases(Lake(storage), project=tmp_path, connections=no_connection)  # type: ignore[arg-type]
    for day, rows in (("01", 2), ("02", 3)):
        release = f"shop-201307{day}"
        releases.open("shop", release, order=f"2013-07-{day}T00:00:00+00:00", fence=1)
        data, withheld = RowStream.of(pa.table({"id": list(range(rows))})), [WITHHELD] if day == "02" else []
        releases.stage("shop", release, part="p", to=parse_target(FILES), data=data, withheld=withheld)
        releases.close("shop", release, expected=["p"])
    with mock.patch.dict(os.environ):  # the command sets variables of Airflow
        yield storage


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["releases", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_releases_are_listed_with_what_can_be_typed_next(lake: Path) -> None:
    first, second, third, withheld, command = call("shop").splitlines()
    assert first.split() == ["release", "status", "date", "committed", "rows", "withheld", "slices", "reason"]
    assert second.split()[:3] == ["shop-20130702", "visible", "2013-07-02T00:00:00+00:00"]
    assert second.endswith("  3 in files://scores  1                -")
    assert third.split()[:2] == ["shop-20130701", "kept"]
    assert withheld == "withheld: gold/scores, slice 20130701T000000Z: `check` failed: range of score"
    assert command == "to show an earlier one again: airflow-wall releases rollback shop [RELEASE] --reason WHY"
    assert call("list") == call() == f"{first}\n{second}\n{third}\n"


def test_an_earlier_release_is_shown_again_and_the_later_one_allowed(lake: Path) -> None:
    text = call("rollback", "shop", "--reason", "sensor was broken")
    assert text.startswith("shop: clients see shop-20130701 again, and not shop-20130702\nrolled back: shop-20130702\n")
    assert (lake / "published" / "scores" / "current").resolve().name == "shop-20130701"
    entries = json.loads(call("shop", "--json"))
    assert entries["format"] == 1
    assert [(entry["version"], entry["status"], entry["reason"]) for entry in entries["releases"]] == [
        ("shop-20130702", "rolled back", "sensor was broken"),
        ("shop-20130701", "visible", None),
    ]
    again = json.loads(call("rollback", "shop", "shop-20130701", "--reason", "sensor was broken", "--json"))
    assert (again["release"], again["before"]) == ("shop-20130701", "shop-20130701")
    assert call("allow", "shop", "shop-20130702") == "shop: the run of shop-20130702 may publish again\n"


def test_a_rollback_needs_a_reason(lake: Path) -> None:
    result = CliRunner().invoke(app, ["releases", "rollback", "shop", "--reason", " "])
    assert result.exit_code == 2
    assert "say why" in result.output
    assert (lake / "published" / "scores" / "current").resolve().name == "shop-20130702"


def test_a_lake_without_releases_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake").mkdir()
    assert call() == "no releases in the lake `lake`\n"
    assert json.loads(call("--json")) == {"format": 1, "releases": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shp"], "the lake has no release `shp`\n\nhint: did you mean `shop`?"),
        (["rollback", "../x", "--reason", "r"], "the lake has no release `../x`\n\nhint: known releases: `shop`."),
        (["allow", "nope", "x"], "the lake has no release `nope`\n\nhint: known releases: `shop`."),
        (["allow", "shop", "x"],
         "release `x` of `shop` was not rolled back\n\nhint: look at `airflow-wall releases shop`"),
        (["rollback", "shop", "shop-1", "--reason", "r"],
         "release `shop-1` of `shop` is not kept, so it cannot be shown again\n\n"
         "hint: name one of these: `shop-20130702`, `shop-20130701`"),
        (["--storage", "lak"], "there is no lake at `lak`\n\nhint: name it with `--storage`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(lake: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(WallError) as error:
        call(*arguments)
    assert str(error.value) == message
