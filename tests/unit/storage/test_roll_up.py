"""The history of a lake in small documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_wall.storage.pipeline_status import judge
from airflow_wall.storage.roll_up import LIMIT, bounded, overview, overview_entry, quarter_of, quarters, roll_up

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def event(task: str, step: str, day: datetime, event: str = "succeeded", **facts: Any) -> dict[str, Any]:
    return {
        "v": 1, "at": (day + timedelta(hours=3)).isoformat(), "event": event, "pipeline": "shop", "run": f"r{day:%j%H}",
        "slice": f"{day:%Y%m%dT%H%M%SZ}", "order": day.isoformat(), "task": task, "step": step, "try": 1, "seconds": 2.0,
        **facts,
    }  # fmt: skip


def nights(count: int, every: timedelta = timedelta(days=1)) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        day = NOW.replace(hour=0) - every * (count - number)
        found += [
            event("load", "ingest", day, table="bronze/a", rows=100 + number, rejected=1, version=number),
            event("check", "check_integrity", day, table="bronze/a", passed=2, warned=0, failed=0),
            event(
                "fit", "retrain", day, model="m", version=number + 1, promoted=number % 2 == 0, metric="rmse",
                value=1.5, champion_version=number, champion_value=2.0, reason="x" * 2000,
            ),
            event("publish", "stop_sender", day, release_name="shop", version=f"shop-{number}", rows=99, withheld=[]),
        ]  # fmt: skip
    return found


def documents(events: list[dict[str, Any]]) -> dict[str, Any]:
    return roll_up(judge(events, NOW, runs=7, file="FILE", storage="lake"), events, NOW)


def test_quarters_are_those_of_the_last_400_days() -> None:
    assert quarters(NOW) == ["2025q4", "2026q1", "2026q2", "2026q3", "2026q4"]
    assert (quarter_of("2026-03-31"), quarter_of("2026-04-01")) == ("2026q1", "2026q2")


def test_each_day_has_the_sums_of_its_runs() -> None:
    result = documents(nights(3))
    assert result["pipeline/shop/2026q4"]["days"]["2026-11-28"] == [1, 0, 101, 1, 0, 0, 8.0]
    assert result["table/bronze/a/2026q4"]["days"]["2026-11-28"] == [101, 1, 2, 0, 0]
    assert result["model/m/2026q4"]["days"]["2026-11-28"] == [2, False, 1.5, 2.0, None]
    assert result["model/m"]["champion"] == 3
    assert [one["version"] for one in result["pipeline/shop"]["releases"]] == ["shop-0", "shop-1", "shop-2"]


@pytest.mark.parametrize("task", ["fit", "promote"])  # by itself, or after an approval
def test_a_model_that_is_promoted_later_in_its_run_is_promoted(task: str) -> None:
    events = nights(2)
    day = NOW.replace(hour=0) - timedelta(days=1)
    assert documents(events)["model/m"]["champion"] == 1
    events.append(event(task, "promote_model", day, model="m", version=2, promoted=True))
    assert documents(events)["model/m"]["champion"] == 2
    assert documents(events)["model/m/2026q4"]["days"]["2026-11-29"] == [2, True, 1.5, 2.0, None]
    status = judge(events, NOW, runs=7, file="FILE", storage="lake")
    assert overview_entry(status, events, NOW)["model"]["version"] == 2
    assert (status.runs[0].model or "").startswith("m version 2 promoted: ")


def test_the_last_try_of_a_slice_counts() -> None:
    day = NOW.replace(hour=0) - timedelta(days=1)
    events = [event("load", "ingest", day, table="a", rows=5), event("load", "ingest", day, table="a", rows=7)]
    assert documents(events)["table/a/2026q4"]["days"]["2026-11-29"][0] == 7


def test_a_failed_check_is_counted_and_named() -> None:
    day = NOW.replace(hour=0) - timedelta(days=1)
    events = [
        event("load", "ingest", day, table="a", rows=5),
        event("check", "check_integrity", day, "failed", table="a", error="not_null hour: 12 rows"),
    ]
    result = documents(events)
    assert result["table/a/2026q4"]["days"]["2026-11-29"] == [5, 0, 0, 0, 1]
    assert result["table/a"]["checks"][0]["error"] == "not_null hour: 12 rows"
    assert result["pipeline/shop"]["findings"][0]["kind"] == "failed"


def test_days_before_the_last_400_are_left_out() -> None:
    days = [
        day for key, one in documents(nights(500)).items() if key.startswith("table/") for day in one.get("days", ())
    ]
    assert len(days) == len({*days}) == 399  # of the oldest day, the night is over


@pytest.mark.parametrize(("count", "every"), [(365, timedelta(days=1)), (24 * 60, timedelta(hours=1))])
def test_no_document_is_too_large_for_airflow(count: int, every: timedelta) -> None:
    sizes = {key: len(json.dumps(bounded(one))) for key, one in documents(nights(count, every)).items()}
    assert max(sizes.values()) <= LIMIT, sizes


def test_a_document_that_is_too_large_loses_its_oldest_items() -> None:
    cut = bounded({"name": "a", "items": ["x" * 100] * 999 + ["last"]})
    assert len(json.dumps(cut)) <= LIMIT
    assert (cut["items"][-1], cut["cut"], cut["name"]) == ("last", True, "a")


def test_an_overview_of_many_pipelines_has_parts_below_the_limit() -> None:
    events = nights(30)
    entry = overview_entry(judge(events, NOW, runs=7, file="FILE", storage="lake"), events, NOW)
    parts = overview(({**entry, "pipeline": f"p{number}"} for number in range(1000)), NOW)
    assert all(len(json.dumps(part)) <= LIMIT for part in parts.values())
    assert sum(len(part["pipelines"]) for part in parts.values()) == 1000
    assert {part["parts"] for part in parts.values()} == {len(parts)}
