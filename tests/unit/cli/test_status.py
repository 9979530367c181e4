"""`airflow-wall status`: is last night fine, and if not, what to type."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_wall import state
from airflow_wall.cli.main import app
from airflow_wall.errors import WallError

NOW = datetime.now(UTC)
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write events of a run some days before now; its slice is that of its day in July 2013."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake").mkdir()
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "a.yaml").write_text("dag_id: shop # the shop\ntasks: []\n---\ndag_id: 'energy'\n")

    def write(day: int, *events: tuple[str, str, str, dict[str, Any]], ago: float = 0, pipeline: str = "shop") -> None:
        folder = tmp_path / "lake" / "_wall" / "history" / pipeline
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "2013-07.jsonl").open("a") as file:
            for number, (task, step, event, facts) in enumerate(events):
                at = NOW - timedelta(days=ago) + timedelta(seconds=number)
                line = {
                    "v": 1, "at": at.isoformat(), "event": event, "pipeline": pipeline, "run": f"run-{day}",
                    "slice": f"201307{day:02}T000000Z", "order": f"2013-07-{day:02}T00:00:00+00:00",
                    "task": task, "step": step, "try": 1, **facts,
                }  # fmt: skip
                file.write(json.dumps(line) + "\n")

    return write


def loaded(rows: int = 10, **facts: Any) -> tuple[str, str, str, dict[str, Any]]:
    return ("load", "ingest", "succeeded", {"seconds": 2.0, "rows": rows, "rejected": 0, **facts})


def released(day: int, **facts: Any) -> tuple[str, str, str, dict[str, Any]]:
    values = {"seconds": 1.0, "release_name": "shop", "version": f"shop-{day}", "withheld": [], **facts}
    return ("publish", "stop_sender", "succeeded", values)


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def findings(*arguments: str) -> dict[str, list[str]]:
    [pipeline] = json.loads(call("shop", "--json", *arguments)[1])["pipelines"]
    return {finding["kind"]: [finding["text"], *finding["commands"]] for finding in pipeline["findings"]}


def test_a_night_that_is_fine_says_so(write: Write) -> None:
    for day in (1, 2, 3):
        write(day, ("load", "ingest", "started", {}), loaded(day), released(day), ago=3 - day)
    code, text = call()
    assert code == 0
    assert text.splitlines()[1].split() == [
        "shop", "ok", "2013-07-03T00:00+00:00", "succeeded", "3", "shop-3", "-",
    ]  # fmt: skip
    code, text = call("shop", "--runs", "2")
    assert code == 0
    assert [line.split()[:2] for line in text.splitlines()[3:5]] == [
        ["2013-07-03T00:00+00:00", "succeeded"],
        ["2013-07-02T00:00+00:00", "succeeded"],
    ]
    assert text.endswith("\nnothing to do\n")


def test_a_failed_task_is_named_with_its_error_and_the_command(write: Write) -> None:
    write(
        1, loaded(), ("check", "check_integrity", "failed", {"seconds": 1.0, "error": "1 of 2 failed:\n  range\n  x"})
    )
    assert call()[0] == call("shop")[0] == 1
    assert findings()["failed"] == [
        "2013-07-01T00:00+00:00: `check`: 1 of 2 failed: range",
        "correct it, then: airflow-wall run dags/a.yaml --date 2013-07-01T00:00+00:00",
        "in Airflow: clear it in run run-1",
    ]
    write(1, ("check", "check_integrity", "succeeded", {"seconds": 1.0, "try": 2}))
    assert findings() == {}
    assert call()[0] == 0


def test_a_task_of_two_jobs_has_failed_if_the_first_one_did(write: Write) -> None:
    write(1, ("publish", "stage", "failed", {"error": "no rows"}), ("publish", "stop_sender", "failed", {"error": "y"}))
    assert findings()["failed"][0].endswith("`publish`: no rows")


def test_a_task_that_never_ended_counts_as_killed_after_a_while(write: Write) -> None:
    write(1, ("load", "ingest", "started", {}))
    assert findings() == {}
    assert call("shop")[1].splitlines()[3].split()[1] == "running"
    write(2, ("load", "ingest", "started", {}), ago=0.2)
    text, command = findings()["killed"]
    assert text.startswith("2013-07-02T00:00+00:00: `load` started at ")
    assert command.endswith("airflow-wall run dags/a.yaml --date 2013-07-02T00:00+00:00")


def test_a_run_that_is_missing_is_late(write: Write) -> None:
    for day in (1, 2, 3):
        write(day, loaded(), ago=5 - day)
    assert findings()["late"][0] == "no run for 2 days; they are usually 24 h apart"
    write(4, loaded(), ago=1)
    assert findings() == {}


def test_slices_that_the_last_release_leaves_out_are_named(write: Write) -> None:
    withheld = [{"table": "gold/scores", "slice": "20130701T000000Z", "reason": "`check` failed: range"}]
    write(2, released(2, withheld=withheld), ago=1)
    text, correct, drop = findings()["withheld"]
    assert text == "gold/scores, slice 20130701T000000Z: `check` failed: range"
    assert correct.endswith("airflow-wall run dags/a.yaml --date 2013-07-01T00:00+00:00 --again")
    assert drop.endswith("airflow-wall tables drop-slice gold/scores 20130701T000000Z --storage lake --reason WHY")
    write(3, released(3))
    assert findings() == {}


def test_drift_bad_rows_and_a_rollback_are_worth_a_look(write: Write, tmp_path: Path) -> None:
    checks = (
        "check",
        "check_integrity",
        "succeeded",
        {"warnings": ["drift of a: PSI 0.4", "row_count: 3"], "report": "r.html"},
    )
    write(1, loaded(rejected=1200), checks, released(1), ago=1)
    rolled_back = {"shop-1": {"version": "shop-1", "at": "2013-07-02", "reason": "bad sensor"}}
    state.write(tmp_path / "lake/_wall/releases/shop/current.json", {"rolled_back": rolled_back})
    assert call("shop")[0] == 0
    assert findings() == {
        "rolled back": [
            "2013-07-01T00:00+00:00: release shop-1: bad sensor",
            "correct the rows, then: airflow-wall releases allow shop shop-1",
            "and: airflow-wall run dags/a.yaml --date 2013-07-01T00:00+00:00 --again",
        ],
        "drift": ["2013-07-01T00:00+00:00: drift of a: PSI 0.4", "read r.html"],
        "bad rows": [
            "2013-07-01T00:00+00:00: 1,200 rows are in quarantine",
            "airflow-wall tables '*/*_rejected' --storage lake",
        ],
    }
    write(2, released(2))
    assert findings() == {}


def test_pipelines_that_are_not_well_come_first(write: Write) -> None:
    write(1, loaded(), pipeline="apple")
    write(1, ("load", "ingest", "failed", {"error": "no file"}), pipeline="energy")
    code, text = call("--bad")
    assert code == 1
    assert [line.split()[:2] for line in text.splitlines()[1:2]] == [["energy", "bad"]]
    assert text.endswith("2 pipelines: 1 fine, 1 to look at\nnext: airflow-wall status energy\n")


def test_a_lake_without_runs_has_nothing_to_say(write: Write) -> None:
    assert call()[0] == 4
    code, text = call("--json")
    assert (code, json.loads(text)["pipelines"]) == (4, [])


def test_an_unknown_pipeline_is_one_message(write: Write) -> None:
    write(1, loaded())
    with pytest.raises(WallError) as error:
        call("shp")
    assert str(error.value) == "no step of pipeline `shp` has run in the lake `lake`\n\nhint: did you mean `shop`?"
