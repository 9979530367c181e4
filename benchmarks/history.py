"""
Measure how long the history of a lake takes to read: a year of 1,000 daily pipelines with 8 steps each.

    .venv/bin/python benchmarks/history.py [PIPELINES]

Every pipeline has a file of its own for the newest month. Its files of earlier months are links to those of the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_wall.lake.lake import Lake
from airflow_wall.storage.run_history import RunHistory

DAYS = 365
STEPS = ("check_new_data", "ingest", "transform", "retrain", "predict", "check_integrity", "stage", "stop_sender")


def lines_of(pipeline: str, day: datetime) -> list[str]:
    """Return the lines of one run, as long as those of the example."""
    lines = []
    for number, step in enumerate(STEPS):
        at = day + timedelta(minutes=number)
        common: dict[str, Any] = {
            "v": 1, "at": at.isoformat(timespec="milliseconds"), "pipeline": pipeline,
            "run": f"scheduled__{day.isoformat()}", "slice": day.strftime("%Y%m%dT%H%M%SZ"), "order": day.isoformat(),
            "task": f"domain.{step}", "step": step, "try": 1,
        }  # fmt: skip
        facts = {
            "event": "succeeded", "seconds": 1.234, "table": "bronze/orders", "rows": 123456, "rejected": 3, "files": 2,
            "table_rows": 45_060_000, "table_bytes": 812_345_678, "newest": common["slice"], "wall": "0.1.0",
            "code": "0123456789ab", "data": {"bronze/orders": 365}, "passed": 12, "warned": 0, "failed": 0,
            "promoted": False, "model": "orders", "reason": "not better", "withheld": [], "version": "orders-1",
        }  # fmt: skip
        lines += [json.dumps({**common, "event": "started"}), json.dumps({**common, **facts})]
    return lines


def write(lake: Path, pipelines: int) -> tuple[int, int]:
    """Write the history, and return its lines and bytes."""
    now = datetime.now(UTC)
    folder = lake / "_wall" / "history"
    for number in range(pipelines):
        months: dict[str, list[str]] = {}
        for ago in range(DAYS, 0, -1):
            day = (now - timedelta(days=ago)).replace(hour=1, minute=0, second=0, microsecond=0)
            month = f"{day:%Y-%m}"
            if number == 0 or month == f"{now - timedelta(days=1):%Y-%m}":
                months.setdefault(month, []).extend(lines_of(f"p{number:04}", day))
        (folder / f"p{number:04}").mkdir(parents=True)
        for month, texts in months.items():
            (folder / f"p{number:04}" / f"{month}.jsonl").write_text("\n".join(texts) + "\n")
        if number:
            for path in (folder / "p0000").glob("*.jsonl"):
                target = folder / f"p{number:04}" / path.name
                if not target.exists():
                    os.link(path, target)
    return pipelines * DAYS * len(STEPS) * 2, sum(path.stat().st_size for path in folder.rglob("*.jsonl"))


def seconds(action: Any) -> float:
    """Return the least CPU time of three calls, with that of their child processes."""
    times = []
    for _ in range(3):
        began = _cpu()
        action()
        times.append(_cpu() - began)
    return min(times)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Write a history, measure, and print."""
    pipelines = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as text:
        lake = Path(text)
        lines, size = write(lake, pipelines)
        history = RunHistory(Lake(lake))
        run = next(iter(history.recent("p0000", 7)))["run"]
        print(f"{pipelines} pipelines, {DAYS} days: {lines:,} lines, {size / 1e6:,.0f} MB")
        ten = lambda: [history.recent("p0000", 7) for _ in range(10)]  # noqa: E731
        print(f"last 7 runs of one pipeline       {seconds(ten) * 100:8.1f} ms")
        print(f"results of one run                {seconds(lambda: history.results('p0000', run)) * 1000:8.1f} ms")
        print(f"the whole year of one pipeline    {seconds(lambda: list(history.events('p0000'))) * 1000:8.1f} ms")
        every = lambda: [history.recent(name, 7) for name in history.pipelines()]  # noqa: E731
        print(f"last 7 runs of every pipeline     {seconds(every):8.2f} s")
        script = "from airflow_wall.cli.main import main; main()"
        command = [sys.executable, "-c", script, "status", "--storage", text, "--json"]
        status = lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: E731
        print(f"airflow-wall status --json        {seconds(status):8.2f} s")


if __name__ == "__main__":
    main()
