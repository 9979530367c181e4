"""Made-up histories of pipelines: a year of nights, with bad rows, failures, drift, a model and a release."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TROUBLES = ("", "", "", "failed", "withheld", "bad rows", "drift")
"""Faults of the last night; the pipelines take turns."""


def events(
    pipeline: str, days: int, trouble: str = "", until: datetime | None = None, seed: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the events of a pipeline with one run a day, the oldest first; `seed` is the name of the pipeline."""
    random.seed(seed or pipeline)
    until = until or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    base, value, champion = random.randint(1_000, 90_000), random.uniform(2, 5), 1
    best = value
    for number in range(days):
        last = number == days - 1
        date = until - timedelta(days=days - number)
        night = date + timedelta(days=1) - timedelta(hours=5)
        rows = int(base * (1 + 0.1 * math.sin(number / 58) + random.gauss(0, 0.03)))
        bad = random.choice((0, 0, 0, 0, 2, 7)) if not last else (31 if trouble == "bad rows" else 0)
        value = max(0.4, value * random.gauss(0.999, 0.03))
        promoted = value < best * 0.99
        previous, previous_version = best, champion
        if promoted:
            best, champion = value, number + 1
        release = f"{pipeline}-{date:%Y%m%d}T000000Z"
        withheld = [{"table": "gold/scores", "slice": f"{date:%Y%m%d}T000000Z", "reason": "`check` failed: range"}]
        warnings = ["drift amount: 0.31 of rows outside of the usual range"] if last and trouble == "drift" else []
        steps: list[tuple[str, str, dict[str, Any]]] = [
            ("ingest", "ingest", {"table": f"bronze/{pipeline}", "rows": rows, "rejected": bad, "files": 1, "version": number}),
            ("clean", "transform", {"table": f"silver/{pipeline}", "rows": rows - bad, "version": number}),
            ("retrain", "retrain", {
                "model": pipeline, "version": number + 1, "promoted": promoted, "metric": "rmse", "value": value,
                "champion_version": previous_version, "champion_value": previous, "rows_trained": rows * 20,
                "rows_held_out": rows * 4, "metrics": {"mae": value * 0.7},
                "reason": f"rmse {value:.3g} against {previous:.3g} of version {previous_version}",
            }),
            ("predict", "predict", {"table": f"gold/{pipeline}", "rows": rows - bad, "model": pipeline, "model_version": champion}),
            ("check", "check_integrity", {"table": f"gold/{pipeline}", "passed": 5, "warned": len(warnings), "failed": 0, "warnings": warnings}),
            ("publish", "stop_sender", {
                "release_name": pipeline, "version": release, "rows": rows - bad,
                "withheld": withheld if last and trouble == "withheld" else [],
            }),
        ]  # fmt: skip
        for place, (task, step, facts) in enumerate(steps):
            at = night + timedelta(minutes=2 * place)
            line = {
                "v": 1, "pipeline": pipeline, "run": f"scheduled__{date.isoformat()}",
                "slice": f"{date:%Y%m%d}T000000Z", "order": f"{date:%Y-%m-%d}T00:00:00+00:00",
                "task": task, "step": step, "try": 1,
            }  # fmt: skip
            yield {**line, "at": at.isoformat(), "event": "started"}
            done = {**line, "at": (at + timedelta(seconds=40)).isoformat(), "seconds": round(random.uniform(4, 60), 1)}
            if last and trouble == "failed" and task == "check":
                error = "`checks`: 1 of 6 checks of `gold/scores` failed: not_null hour: 12 rows"
                yield {**done, "event": "failed", "table": facts["table"], "error": error}
                break
            yield {**done, "event": "succeeded", **facts}


def write(state: Path, pipelines: Sequence[str], days: int) -> None:
    """Write the histories of pipelines below the directory of our own state in a lake."""
    for number, pipeline in enumerate(pipelines):
        folder = state / "history" / pipeline
        folder.mkdir(parents=True, exist_ok=True)
        months: dict[str, list[str]] = {}
        for event in events(pipeline, days, TROUBLES[number % len(TROUBLES)]):
            months.setdefault(event["at"][:7], []).append(json.dumps(event))
        for month, lines in months.items():
            (folder / f"{month}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
