"""`by: date`: the slice of a row is the date in the name of its file, whatever has landed and whichever run came first."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_new_data import check_new_data
from airflow_wall.jobs.ingest import ingest
from airflow_wall.operators.base import slice_of
from airflow_wall.storage.backends import open_tables

DAYS = ("2013-07-01", "2013-07-02", "2013-07-03")


class Lake:
    """A lake with a landing folder whose files have dates."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.storage = root / "lake"

    def put(self, name: str, text: str = "id\n1\n") -> Path:
        path = self.storage / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def env(self, day: str, slice_id: str | None = None) -> Env:
        part = Slice(slice_id or f"{day.replace('-', '')}T000000Z", f"{day}T00:00:00+00:00", day)
        run = Run("p", "r", "load", 1, part, self.storage, self.root, self.root)
        return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="w.db"))

    def ingest(self, day: str, slice_id: str | None = None, **more: Any) -> dict[str, Any]:
        arguments = {"source": "landing", "target": "bronze/t", "by": "date", **more}
        return ingest(self.env(day, slice_id), **arguments)

    def check(self, day: str) -> dict[str, Any]:
        return check_new_data(self.env(day), source="landing", by="date")

    def rows(self) -> list[tuple[str, int]]:
        rows = open_tables(self.storage).read("bronze/t", hidden=True).to_pylist()
        return sorted((row["_wall_slice"][:8], row["id"]) for row in rows)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def _error(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("order", list(itertools.permutations(DAYS)))
def test_a_backfill_of_a_day_holds_that_day(lake: Lake, order: tuple[str, ...]) -> None:
    for number, day in enumerate(DAYS, start=1):
        lake.put(f"{day}.csv", f"id\n{number}\n")
        lake.put(f"{day.replace('-', '/')}/more.csv", f"id\n{number * 10}\n")
    for day in order:
        assert lake.ingest(day)["rows"] == 2
    assert lake.rows() == [
        ("20130701", 1), ("20130701", 10), ("20130702", 2), ("20130702", 20), ("20130703", 3), ("20130703", 30),
    ]  # fmt: skip


def test_a_late_file_is_read_by_the_run_of_its_date(lake: Lake) -> None:
    lake.put("2013-07-01.csv")
    assert lake.check("2013-07-01")["new"] == 1
    lake.ingest("2013-07-01")
    lake.put("2013-07-01-late.csv", "id\n2\n")
    lake.put("2013-07-03.csv", "id\n3\n")
    assert lake.check("2013-07-03") == {
        "new": 1, "processed": 0, "source": "landing", "slice": "20130703T000000Z", "other_dates": {"2013-07-01": 1},
    }  # fmt: skip
    assert lake.ingest("2013-07-03")["other_dates"] == {"2013-07-01": 1}
    assert lake.rows() == [("20130701", 1), ("20130703", 3)]
    assert lake.check("2013-07-01")["new"] == 2
    lake.ingest("2013-07-01")
    assert lake.rows() == [("20130701", 1), ("20130701", 2), ("20130703", 3)]
    assert "other_dates" not in lake.ingest("2013-07-03")


def test_another_run_of_the_date_puts_a_late_file_into_its_slice(lake: Lake) -> None:
    lake.put("2013-07-01.csv")
    lake.ingest("2013-07-01")
    lake.put("2013-07-01-late.csv", "id\n2\n")
    result = lake.ingest("2013-07-01", "manual__2013-07-01")
    assert (result["rows"], result["corrected"]) == (0, {"20130701T000000Z": ["landing/2013-07-01-late.csv"]})
    assert lake.rows() == [("20130701", 1), ("20130701", 2)]
    lake.ingest("2013-07-01")
    assert lake.rows() == [("20130701", 1), ("20130701", 2)]


def test_a_corrected_file_is_read_by_the_run_of_its_date(lake: Lake) -> None:
    lake.put("2013-07-01.csv")
    lake.ingest("2013-07-01")
    lake.put("2013-07-01.csv", "id\n5\n")
    lake.put("2013-07-02.csv", "id\n2\n")
    assert lake.ingest("2013-07-02")["other_dates"] == {"2013-07-01": 1}
    lake.ingest("2013-07-01")
    assert lake.rows() == [("20130701", 5), ("20130702", 2)]


def test_a_day_without_files_is_an_empty_slice(lake: Lake) -> None:
    lake.put("2013-07-01.csv")
    assert lake.ingest("2013-07-02")["rows"] == 0
    assert lake.check("2013-07-02")["new"] == 0
    (lake.storage / "landing/2013-07-01.csv").unlink()
    assert "no file in" in _error(lambda: lake.ingest("2013-07-02", target="bronze/other"))


@pytest.mark.parametrize(
    ("name", "which"),
    [("notes.csv", "no date"), ("2013-07-01_2013-07-02.csv", "the dates `2013-07-01`, `2013-07-02`")],
)
def test_a_file_without_one_date_is_one_error(lake: Lake, name: str, which: str) -> None:
    lake.put("2013-07-01.csv")
    lake.put(name)
    assert _error(lambda: lake.ingest("2013-07-01")) == (
        f"`source` `landing`: `by: date` needs one date in the name of each file, and `landing/{name}` has {which}\n\n"
        "hint: name it e.g. `2013-07-01.csv` or `2013/07/01/orders.csv`, or write a pattern in `source` without it"
    )
    assert lake.ingest("2013-07-01", source="landing/????-??-??.csv")["rows"] == 1


def test_the_date_may_be_in_the_source_itself(lake: Lake) -> None:
    lake.put("2013-07-01/orders.csv")
    assert lake.ingest("2013-07-01", source="landing/2013-07-01")["rows"] == 1
    assert lake.ingest("2013-07-02", source="landing/2013-07-01")["rows"] == 0


def test_other_values_and_slices_without_a_date_are_refused(lake: Lake) -> None:
    lake.put("2013-07-01.csv")
    assert _error(lambda: lake.ingest("2013-07-01", by="hour")) == (
        "`by` must be `date`, got `hour`\n\nhint: write `by: date`, or remove it"
    )
    run = Run("p", "r", "load", 1, Slice("eu", "eu"), lake.storage, lake.root, lake.root)
    assert _error(lambda: check_new_data(Env(run, lambda _: None), source="landing", by="date")) == (
        "`by: date` needs a run with a date, and slice `eu` has none\n\nhint: give the run a logical date"
    )
    assert "`by` is for files" in _error(lambda: lake.ingest("2013-07-01", source="sql://w/t"))


def test_the_date_of_a_slice_is_that_of_the_pipelines_time_zone() -> None:
    from datetime import UTC, datetime
    from types import SimpleNamespace

    midnight = datetime(2013, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    run = SimpleNamespace(logical_date=midnight, run_after=midnight, run_id="r")
    assert slice_of(run, ZoneInfo("Europe/Berlin")) == Slice(
        "20130630T220000Z", midnight.astimezone(UTC).isoformat(), "2013-07-01"
    )
    for key, day in (("2013-06-05", "2013-06-05"), ("eu-20130605", "2013-06-05"), ("eu", "2013-07-01")):
        run = SimpleNamespace(logical_date=None, run_after=midnight, run_id="r", partition_key=key)
        assert slice_of(run, ZoneInfo("Europe/Berlin")).date == day
