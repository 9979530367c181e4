"""A run as it goes, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path

from rich.console import Console

from airflow_wall.cli.outcome import Change
from airflow_wall.cli.progress import Progress

TASKS = [f"task_{number:02}" for number in range(21)]


def on_a_terminal(height: int) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=True, width=80, height=height, color_system=None), text


def last_screen(text: str) -> list[str]:
    """The lines of the last table drawn, without what moves the cursor."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\x1b", text).rstrip("\x1b\n")
    return [line.rstrip() for line in plain.rpartition("\x1b")[2].splitlines()]


def test_elsewhere_each_change_is_a_line() -> None:
    text = io.StringIO()
    with Progress(Console(file=text), ["a", "b", "c", "d"]) as progress:
        progress.show([Change("a", "success", 1, 0.5, earlier=True)])
        progress.show([Change("b", "running", 1)])
        progress.show([])
        progress.show([Change("b", "up_for_retry", 1, 2.0, "killed")])
        progress.show([Change("b", "failed", 2, 3.25, "broken"), Change("c", "upstream_failed", 0)])
        progress.show([Change("d", "skipped", 0)])  # passed over: no news
    assert [line.rstrip() for line in text.getvalue().splitlines()] == [
        "↻ will retry  b                                       2.0 s",
        "✖ failed      b                                       3.2 s  try 2",
    ]


def test_a_terminal_of_24_lines_shows_21_tasks_at_once() -> None:
    console, text = on_a_terminal(24)
    with Progress(console, TASKS) as progress:
        progress.show([Change("task_00", "success", 1, 1.0), Change("task_01", "running", 1)])
        lines = last_screen(text.getvalue())
    assert [line.split()[1] for line in lines] == TASKS
    assert lines[0].split() == ["✔", "task_00", "success", "1.0", "s"]
    assert lines[1].split()[:3] == ["▶", "task_01", "running"]


def test_a_small_terminal_leaves_out_what_is_over_first() -> None:
    console, text = on_a_terminal(10)
    with Progress(console, TASKS) as progress:
        progress.show([Change(task_id, "success", 1, 1.0) for task_id in TASKS[:15]])
        progress.show([Change("task_15", "running", 1)])
        lines = last_screen(text.getvalue())
        assert [line.split()[1] for line in lines] == TASKS[13:]
    assert [line.split()[1] for line in last_screen(text.getvalue())] == TASKS  # at the end all stay on the screen


def test_no_thread_draws() -> None:
    console, _ = on_a_terminal(24)
    before = threading.active_count()
    with Progress(console, TASKS) as progress:
        progress.show([])
        assert threading.active_count() == before


def test_a_running_task_shows_the_last_line_that_it_printed(tmp_path: Path) -> None:
    log = tmp_path / "attempt=1.log"
    lines = [
        ("task.stdout", "round 1"),
        ("task.stdout", "round 2 [loss 0.5]"),
        ("task", "Pushing xcom"),
        ("airflow.x", "y"),
    ]
    log.write_text("".join(json.dumps({"event": event, "logger": logger}) + "\n" for logger, event in lines))
    console, text = on_a_terminal(24)
    with Progress(console, ["fit", "other"]) as progress:
        progress.show([Change("fit", "running", 2, log=log), Change("other", "running", 1, log=tmp_path / "none")])
        lines_shown = last_screen(text.getvalue())
        assert lines_shown[0].endswith("try 2  round 2 [loss 0.5]")
        assert lines_shown[1].split()[:3] == ["▶", "other", "running"]
        progress.show([Change("fit", "success", 2, 1.0)])
    assert "round 2" not in last_screen(text.getvalue())[0]
