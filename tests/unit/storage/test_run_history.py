"""Each job appends to the history of its lake."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from pathlib import Path

import pytest

from airflow_wall import __version__
from airflow_wall.errors import CheckFailed, DataError
from airflow_wall.job import Job, Run, Slice
from airflow_wall.jobs.base import run_job
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.run_history import RunHistory


def job_of(lake: Path, kind: str = "ingest", day: int = 1, pipeline: str = "shop", **arguments: object) -> Job:
    part = Slice(f"2013070{day}T000000Z", f"2013-07-0{day}T00:00:00+00:00")
    return Job(kind, arguments, Run(pipeline, f"run-{day}", "load", 2, part, lake, lake, lake))


def no_connection(conn_id: str, /) -> None:
    raise AssertionError(conn_id)


def test_a_job_appends_that_it_starts_and_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.csv").write_text("id,price\n1,2\n2,3\n")
    run_job(job_of(tmp_path, source="landing", target="bronze/orders"), no_connection)  # type: ignore[arg-type]
    start, end = RunHistory(Lake(tmp_path)).recent("shop")
    assert (start["event"], start["pipeline"], start["step"], start["try"]) == ("started", "shop", "ingest", 2)
    assert (end["event"], end["table"], end["rows"], end["files"], end["rejected"]) == (
        "succeeded", "bronze/orders", 2, 1, 0,
    )  # fmt: skip
    assert end["seconds"] >= 0


def test_a_step_records_rows_bytes_freshness_and_the_versions_of_code_and_data(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.csv").write_text("id,price\n1,2\n2,3\n")
    run_job(job_of(tmp_path, source="landing", target="bronze/orders"), no_connection)  # type: ignore[arg-type]
    inputs = {"orders": "bronze/orders"}
    query = "SELECT id FROM orders WHERE id > 1"
    for sql in (query, query, query.replace("1", "0")):
        run_job(job_of(tmp_path, "transform", target="silver/o", inputs=inputs, sql=sql), no_connection)  # type: ignore[arg-type]
    history = RunHistory(Lake(tmp_path))
    ingested, *transformed = [event for event in history.events("shop") if event["event"] == "succeeded"]
    assert (ingested["table_rows"], ingested["newest"], ingested["wall"]) == (2, "20130701T000000Z", __version__)
    files = (tmp_path / "bronze" / "orders").rglob("*.parquet")
    assert ingested["table_bytes"] == sum(file.stat().st_size for file in files)
    assert [event["data"] for event in transformed] == [{"bronze/orders": 0}] * 3
    assert [event["version"] for event in transformed] == [0, 0, 1]
    first, same, other = (event["code"] for event in transformed)
    assert first == same != other


def test_a_check_records_its_verdict_its_numbers_and_drift_also_if_it_fails(tmp_path: Path) -> None:
    rows = [f"{number % 7}\n" for number in range(200)]
    checks: list[object] = [
        {"drift": {"column": "x", "max_psi": 0.25, "severity": "warn"}},
        {"range": {"column": "x", "max": 10}},
    ]
    for day, text in ((1, "".join(rows)), (2, "20\n" * 200)):
        (tmp_path / "landing").mkdir(exist_ok=True)
        (tmp_path / "landing" / f"{day}.csv").write_text(f"x\n{text}")
        run_job(job_of(tmp_path, day=day, source="landing", target="b/x"), no_connection)  # type: ignore[arg-type]
        check = job_of(tmp_path, "check_integrity", day=day, table="b/x", checks=checks)
        with pytest.raises(CheckFailed) if day == 2 else contextlib.nullcontext():
            run_job(check, no_connection)  # type: ignore[arg-type]
    good, bad = [event for event in RunHistory(Lake(tmp_path)).events("shop") if event["step"] == check.kind][1::2]
    assert (good["passed"], good["checks"]) == (3, [])
    assert (bad["event"], bad["passed"], bad["warned"], bad["failed"]) == ("failed", 1, 1, 1)
    assert [(item["name"], item["status"]) for item in bad["checks"]] == [
        ("range of x", "fail"),
        ("drift of x", "warn"),
    ]
    assert bad["drift"]["drift of x"] > 1


def test_the_results_of_a_run_are_those_of_its_last_tries(tmp_path: Path) -> None:
    history = RunHistory(Lake(tmp_path))
    history.succeed(job_of(tmp_path, day=1), 1.0, {"rows": 1})
    history.succeed(job_of(tmp_path, day=2), 1.0, {"rows": 2})
    history.succeed(job_of(tmp_path, day=1), 1.0, {"rows": 3})
    history.fail(job_of(tmp_path, day=1), 1.0, DataError("no file"))
    assert {step: [event["rows"] for event in events] for step, events in history.results("shop", "run-1").items()} == {
        "ingest": [3]
    }


def test_a_job_that_fails_appends_its_error_without_logins(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run_job(job_of(tmp_path, source="landing", target="bronze/orders"), no_connection)  # type: ignore[arg-type]
    end = RunHistory(Lake(tmp_path)).recent("shop")[-1]
    assert (end["event"], end["table"]) == ("failed", "bronze/orders")
    assert end["error"].startswith("`source` `landing`: there is no ")
    RunHistory(Lake(tmp_path)).fail(job_of(tmp_path), 0, ValueError("no answer of postgres://me:hunter2@db/x"))
    assert "hunter2" not in RunHistory(Lake(tmp_path)).recent("shop")[-1]["error"]


def test_a_history_that_cannot_be_written_makes_no_job_fail(tmp_path: Path) -> None:
    (tmp_path / "_wall").mkdir()
    (tmp_path / "_wall" / "history").write_text("not a folder")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.csv").write_text("id\n1\n")
    result = run_job(job_of(tmp_path, source="landing", target="bronze/o"), no_connection)  # type: ignore[arg-type]
    assert result["rows"] == 1


def test_a_torn_line_loses_only_itself(tmp_path: Path) -> None:
    history = RunHistory(Lake(tmp_path))
    history.start(job_of(tmp_path))
    [month] = (tmp_path / "_wall" / "history" / "shop").glob("[!.]*.jsonl")
    with month.open("ab") as file:
        file.write(b'{"v":1,"at":"20')
    history.start(job_of(tmp_path, day=2))
    with month.open("ab") as file:
        file.write(b'\n[1]\n{"v":2}\n{"v":1}\n\xff\n')
    assert [event["run"] for event in history.events("shop")] == ["run-1", "run-2"]


def append(lake: Path, day: int) -> None:
    for _ in range(50):
        RunHistory(Lake(lake)).succeed(job_of(lake, day=day), 1.0, {"rows": 1, "reason": "x" * 3000})


def test_processes_append_at_once_and_no_line_is_lost(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=append, args=(tmp_path, day)) for day in (1, 2, 3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert len(list(RunHistory(Lake(tmp_path)).events("shop"))) == 150


def test_only_the_end_is_read_but_all_of_the_last_runs(tmp_path: Path) -> None:
    history = RunHistory(Lake(tmp_path))
    history.start(job_of(tmp_path))
    [month] = (tmp_path / "_wall" / "history" / "shop").glob("[!.]*.jsonl")
    line = json.loads(month.read_text())
    for name, tasks in (("2013-01", 1), ("2013-02", 1), ("2013-03", 1000)):
        lines = ({**line, "run": name, "slice": f"{name}-{number // tasks}"} for number in range(2000))
        month.with_name(f"{name}.jsonl").write_text("".join(json.dumps(values) + "\n" for values in lines))
    runs = [event["slice"] for event in history.recent("shop", 3)]
    assert (runs[-2:], runs.count("2013-03-1"), runs.count("2013-03-0")) == (
        ["2013-03-1", "20130701T000000Z"], 1000, 1000,
    )  # fmt: skip
    assert len(runs) < 6000
    assert len(history.recent("shop", 1)) < 2000
    assert len(list(history.events("shop"))) == 6001
