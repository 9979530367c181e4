"""`airflow-wall tables` and `airflow-wall show`: the tables of a lake."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from airflow_wall.cli.main import app
from airflow_wall.errors import WallError
from airflow_wall.job import Run, Slice
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.base import SOURCE, SourceVersion
from airflow_wall.storage.lineage import Lineage
from airflow_wall.storage.owners import Owners
from airflow_wall.storage.verdicts import Verdict, Verdicts

DAY = "2013070{}T000000Z"


def run_of(lake: Path, task: str, day: int) -> Run:
    slice_ = Slice(DAY.format(day), f"2013-07-0{day}T00:00:00+00:00")
    return Run("shop", f"run-{day}", task, 1, slice_, lake, lake, lake)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    `bronze/orders` of two days, the first with a bad row; `gold/scores` computed from it.

    The second day of the scores was rejected, and the first day of the orders has changed since.
    """
    monkeypatch.chdir(tmp_path)
    lake = tmp_path / "lake"
    store, place = open_tables(lake), Lake(lake)
    lineage, verdicts = Lineage(place, store), Verdicts(place, store)
    for day in (1, 2):
        source = SourceVersion(f"landing/{day}.csv", "v1")
        orders = pa.table({"id": [1, 2, day], "price": [1.0, None, float("nan")], SOURCE: [source.uri] * 3})
        bad = pa.table({"line": [7], "reason": ["`price` must be a number"], SOURCE: [source.uri]}).slice(0, 2 - day)
        store.replace_slice(
            "bronze/orders", orders, slice_id=DAY.format(day), number=day, sources=[source], rejected=bad
        )
        reading = lineage.reading({"o": "bronze/orders"}, [DAY.format(day)])
        commit = store.replace_slice("gold/scores", pa.table({"s": [day]}), slice_id=DAY.format(day), number=day)
        lineage.record(run_of(lake, "predict", day), commit, reading, partition=DAY.format(day))
        content = store.contents("gold/scores").by_slice()[DAY.format(day)]
        failed = ("range of s",) if day == 2 else ()
        verdicts.record(run_of(lake, "check", day), "gold/scores", DAY.format(day), Verdict(content, failed))
    Owners(place, store).take_over("bronze/orders", "shop.load")
    Owners(place, store).take_over("gold/scores", "shop.predict")
    newer = SourceVersion("landing/1.csv", "v2")
    store.replace_slice(
        "bronze/orders",
        pa.table({"id": [9], "price": [9.0], SOURCE: [newer.uri]}),
        slice_id=DAY.format(1),
        number=1,
        sources=[newer],
    )
    return lake


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_tables_are_listed_with_rows_slices_and_owner(lake: Path) -> None:
    entries = {entry["table"]: entry for entry in json.loads(call("tables", "--json"))["tables"]}
    assert {name: (entry["rows"], entry["slices"], entry["owner"]) for name, entry in entries.items()} == {
        "bronze/orders": (4, 2, "shop.load"),
        "bronze/orders_rejected": (1, 1, None),
        "gold/scores": (2, 2, "shop.predict"),
    }
    header, *lines = call("tables", "gold/*").splitlines()
    assert header.split() == ["table", "rows", "slices", "written", "owner"]
    assert [line.split()[:3] for line in lines] == [["gold/scores", "2", "2"]]
    assert call("tables", "slices", "gold/scores").splitlines() == [DAY.format(1), DAY.format(2)]


def test_a_table_is_shown_with_verdict_staleness_and_history(lake: Path) -> None:
    call("tables", "drop-slice", "bronze/orders", DAY.format(2), "--reason", "test data")
    document = json.loads(call("show", "gold/scores", "--json"))
    assert document["columns"] == [{"name": "s", "type": "int64"}]
    first, second = document["slices"]
    assert (first["withheld"], first["stale"]) == ({}, f"shop, slice {DAY.format(1)}")
    assert second["withheld"] == {"shop": "`check` failed: range of s"}
    assert [entry["version"] for entry in document["history"]] == [1, 0]
    text = call("show", "gold/scores")
    assert f"{DAY.format(2)}  1     withheld: `check` failed: range of s" in text
    assert "dropped" in call("show", "bronze/orders")


def test_bad_rows_are_shown_with_the_table_that_holds_them(lake: Path) -> None:
    document = json.loads(call("show", "bronze/orders", "--json"))
    assert document["quarantine"] == {
        "table": "bronze/orders_rejected",
        "rows": 1,
        "sample": ["line=7, reason=`price` must be a number"],
    }
    text = call("show", "bronze/orders")
    assert "bad rows: 1 in bronze/orders_rejected\n  line=7, reason=`price` must be a number\n" in text
    assert "yes, no checks" in text
    assert call("show", "bronze/orders_rejected", "--rows").splitlines()[1].split()[0] == "7"


def test_rows_are_shown_as_text_and_as_json(lake: Path) -> None:
    rows = json.loads(call("show", "bronze/orders", "--rows", "--limit", "4", "--json"))["rows"]
    assert rows[-1] == {"id": 2, "price": None}  # NaN is not JSON
    assert call("show", "bronze/orders", "--rows", "--limit", "1") == "id  price\n9   9\n"


def test_the_oldest_slices_are_left_out(lake: Path) -> None:
    assert "and 1 earlier slices: --limit 2\n" in call("show", "gold/scores", "--limit", "1")


def test_a_damaged_table_does_not_hide_the_others(lake: Path) -> None:
    log = lake / "gold" / "broken" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{")
    result = CliRunner().invoke(app, ["tables", "--json"])
    entries = {entry["table"]: entry for entry in json.loads(result.stdout)["tables"]}
    assert (result.exit_code, entries["gold/scores"]["rows"]) == (1, 2)
    assert entries["gold/broken"]["error"].startswith("table `gold/broken` in ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "gold/score"],
         "there is no table `gold/score` in `{lake}`: it has `bronze/orders`, `bronze/orders_rejected`, `gold/scores`"
         "\n\nhint: did you mean `gold/scores`?"),
        (["tables", "--storage", "lak"], "there is no lake at `lak`\n\nhint: name it with `--storage`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(lake: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(WallError) as error:
        call(*arguments)
    assert str(error.value) == message.format(lake=lake)
