"""`make faults` finds each fault of a run. The runs themselves take an hour; see main.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judge import BOUND, Run, Span, Task, Verdict, judge

DONE = {"start_cluster": "success", "stop_cluster": "success", "work": "success"}


def sheet(
    lake: Path, run: Run | None = None, spans: tuple[Span, ...] = (Span("j-1", 0.0, 20.0),), **more: Any
) -> Verdict:
    verdict = Verdict("case", "a fault", "job", "emr", "local", "case_e", more.pop("control", False))
    usual = {"injection": 10.0, "limit": 20.0 + BOUND, "now": 500.0, "marked": False, "colour": None, "alive": []}
    judge(verdict, run or of("success"), list(spans), lake, lake / "silver/rows", **{**usual, **more})
    return verdict


def of(state: str, over: float | None = 20.0, **tasks: str) -> Run:
    found = {name: Task("id", each, 1, None) for name, each in {**DONE, **tasks}.items()}
    return Run("r", state, over, found)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    wrote(tmp_path, "one")
    return tmp_path


def wrote(lake: Path, *who: str) -> None:
    log = lake / "silver/rows/_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(who):
        added = {"add": {"stats": json.dumps({"minValues": {"who": name}})}}
        (log / f"{number:020}.json").write_text(json.dumps({"commitInfo": {}}) + "\n" + json.dumps(added))


def ticks(lake: Path, **who: list[float]) -> None:
    (lake / "held").mkdir()
    lines = [json.dumps({"at": at, "who": name}) for name, times in who.items() for at in times]
    (lake / "held" / "ticks").write_text("\n".join(lines))


def test_a_run_that_did_all_and_left_nothing_is_clean(lake: Path) -> None:
    ticks(lake, one=[1.0, 1.2])
    verdict = sheet(lake)
    assert verdict.faults == []
    assert (verdict.ended_after, verdict.gone_after, verdict.executions, verdict.writes) == (10.0, 10.0, 1, 1)


@pytest.mark.parametrize("gone", [None, 20.0 + BOUND + 1])
def test_a_cluster_after_the_bound_is_a_leak(lake: Path, gone: float | None) -> None:
    verdict = sheet(lake, of("failed", work="failed"), (Span("j-1", 0.0, 20.0), Span("j-2", 0.0, gone)))
    assert verdict.leak
    assert verdict.faults == ["leak: 1 cluster(s) alive after the bound"]


def test_one_that_the_reaper_ended_in_time_is_none(lake: Path) -> None:
    assert sheet(lake, of("failed", work="failed"), (Span("j-1", 0.0, 20.0 + BOUND - 1),)).faults == []


def test_a_process_of_a_job_that_lives_on_is_a_leak(lake: Path) -> None:
    assert sheet(lake, alive=[17]).faults == ["leak: 1 process(es) of a job live on"]


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "removed"])
def test_green_with_a_task_that_failed_is_a_lie(lake: Path, state: str) -> None:
    assert sheet(lake, of("success", stop_cluster=state)).faults == [f"lie: green with stop_cluster {state}"]


def test_green_while_its_cluster_lives_on_is_a_lie(lake: Path) -> None:
    assert sheet(lake, spans=(Span("j-1", 0.0, 60.0),)).faults == ["lie: green, and its cluster lived on"]


def test_green_without_its_table_is_a_fault_unless_marked_green(lake: Path) -> None:
    (lake / "silver/rows/_delta_log/00000000000000000000.json").unlink()
    assert sheet(lake).faults == ["lie: green, and the table was not written"]
    assert sheet(lake, marked=True).faults == []


def test_red_after_all_work_is_a_fault_unless_marked_red(lake: Path) -> None:
    assert sheet(lake, of("failed")).faults == ["lie: red, and all was done"]
    assert sheet(lake, of("failed"), marked=True).faults == []


def test_wrong_colour_is_reported(lake: Path) -> None:
    assert sheet(lake, colour="failed").faults == ["colour: success, and it must be failed"]
    assert sheet(lake, of("running", None), colour="success").faults == ["colour: running, and it must be success"]


def test_a_try_that_writes_after_its_successor_is_stale(lake: Path) -> None:
    ticks(lake, one=[1.0], two=[30.0])
    wrote(lake, "two", "one")
    assert sheet(lake).faults == ["stale: 1 write(s) of a try after the first of its successor"]


def test_a_successor_that_writes_again_is_not(lake: Path) -> None:
    ticks(lake, one=[1.0], two=[30.0])
    wrote(lake, "one", "two")
    verdict = sheet(lake)
    assert (verdict.faults, verdict.writes) == ([], 2)


def test_what_two_tries_did_side_by_side_is_measured(lake: Path) -> None:
    ticks(lake, one=[1.0, 1.2, 40.0], two=[30.0, 30.2])  # frozen from 1.2 to 40
    verdict = sheet(lake)
    assert (verdict.overlap, verdict.executions, verdict.faults) == (0.2, 2, [])


def test_working_on_beside_the_next_try_is_stale(lake: Path) -> None:
    ticks(lake, one=[each / 5 for each in range(40)], two=[4.0, 4.2])
    assert sheet(lake).faults == ["stale: an earlier try computed for 3.8 s beside its successor"]


def test_a_control_is_measured_and_its_colour_is_not_judged(lake: Path) -> None:
    verdict = sheet(lake, of("success", stop_cluster="failed"), (Span("j-1", 0.0, None),), control=True)
    assert verdict.leak
    assert verdict.faults == ["leak: 1 cluster(s) alive after the bound"]
