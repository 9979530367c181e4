"""Cron expressions that Airflow would take otherwise than they are meant, and schedules of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

MULTIPLE = "airflow.timetables.trigger.MultipleCronTriggerTimetable"


def hints(folder: Path, schedule: str) -> list[str | None]:
    path = folder / "p.yaml"
    path.write_text(f"dag_id: p\nschedule: {schedule}\ntasks: [{{id: a}}]\n")
    (spec,) = load_specs(path, Settings())
    assert all((fault.key or "").startswith("schedule") for fault in spec.faults)
    return [fault.hint for fault in spec.faults]


@pytest.mark.parametrize(
    ("schedule", "hint"),
    [
        ("0 0 3 * * *", "write `0 3 * * *`, without the seconds at the beginning"),
        ("0 0 12 ? * 2 *", "write `0 12 * * 1`, without the seconds at the beginning"),
        ("0 15 10 ? * MON-FRI", "write `15 10 * * MON-FRI`, without the seconds at the beginning"),
        ("0 0 6 1 1 ? 2027", "write `0 6 1 1 *`, without the seconds at the beginning"),
        ("'*/10 * * * * *'", "write `* * * * *` without the seconds, or a duration for runs within a minute"),
        ("a b c d e f", "write five fields: "),
        ("0 3 31 2 *", "correct the day or the month"),
        ("0 3 30,31 2 *", "correct the day or the month"),
        ("'*/5 3 31 4,6,9,11 *'", "correct the day or the month"),
        ("none", "remove `schedule`: "),
        ("'@never'", "remove `schedule`: "),
        (
            "['0 3 * * *', '0 4 * * *']",
            f"write `schedule: {{uses: {MULTIPLE}, with: {{crons: ['0 3 * * *', '0 4 * * *']",
        ),
        ("'0 3 * * * , 0 4 * * *'", f"write `{{uses: {MULTIPLE}"),
        ("['s3://a/b']", "write `schedule: {assets: [s3://a/b]}`"),
        ("{cron: '0 3 * * *'}", "write the expression itself: `schedule: '0 3 * * *'`"),
        ("{__type__: a.b.C, cron: '* * * * *'}", "write `schedule: {uses: a.b.C, with: {cron: '* * * * *'}}`"),
        ("{__or__: [a, b]}", "write `schedule: {assets: {or: [...]}}`"),
    ],
)
def test_schedule_is_one_fault_with_its_equivalent(schedule: str, hint: str, tmp_path: Path) -> None:
    (found,) = hints(tmp_path, schedule)
    assert str(found).startswith(hint)


@pytest.mark.parametrize(
    "schedule",
    [
        "0 3 29 2 *",
        "0 3 31 1,2 *",
        "0 3 31 2 1",
        "0 3 L 2 *",
        "0 3 * 2 *",
        "'*/5 0-6 1-31 */2 MON#1'",
        "30s",
        "'@daily'",
    ],
)
def test_schedule_that_comes_has_no_fault(schedule: str, tmp_path: Path) -> None:
    assert hints(tmp_path, schedule) == []


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("UTC+2", "`Europe/Athens`"), ("GMT-5", "`America/New_York`"), ("+01:00", "`Europe/Berlin`"), ("CEST", "`Europe/Berlin`"),
        ("Europe/Lissabon", "`Europe/Lisbon`"), ("BST", "`Europe/London`"),
    ],
)  # fmt: skip
def test_hint_of_a_time_zone_names_a_region(zone: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"dag_id: p\ntimezone: '{zone}'\ntasks: [{{id: a}}]\n")
    (fault,) = load_specs(path, Settings())[0].faults
    assert hint in str(fault.hint)
