"""The measurements of a run, and its faults."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BOUND = 120.0
"""
Seconds after the end of its run, and of the fault, at which no cluster may be alive: the reaper looks every 60, and its
task takes some seconds to begin.
"""

TICK = 0.2
"""How often who computes says so."""

BESIDE = 2.0
"""Seconds that a try which was frozen may go on for: its supervisor asks each second whether it may live."""

_DONE = ("success", "skipped")


@dataclass(frozen=True)
class Span:
    """
    One cluster.

    :param gone: When it began to end; None while it lives.
    """

    id: str
    born: float
    gone: float | None


@dataclass
class Task:
    """One task of a run, as it is now."""

    id: str
    state: str | None
    tries: int
    pid: int | None


@dataclass
class Run:
    """The one run of a DAG. Times are when it was seen first."""

    run_id: str
    state: str
    over: float | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    gone: bool = False
    """It was deleted."""


@dataclass
class Verdict:
    """One run, measured and judged. Seconds are from the injection."""

    case: str
    fault: str
    step: str
    kind: str
    executor: str
    dag: str
    control: bool
    colour: str | None = None
    tasks: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    clusters: int = 0
    ended_after: float | None = None
    gone_after: float | None = None
    overlap: float = 0.0
    executions: int = 0
    writes: int = 0
    leak: bool = False
    faults: list[str] = field(default_factory=list)
    """The faults, in words."""

    @property
    def unjudged(self) -> bool:
        """True if the harness did not get to hit the run."""
        return is_unjudged(self.faults)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def is_unjudged(faults: list[str]) -> bool:
    """Return True if the only fault is that the harness did not get to hit the run."""
    return any(fault.startswith("harness") for fault in faults)


def ticks_of(lake: Path) -> dict[str, list[float]]:
    """Return each process that computed, with the times at which it was alive."""
    found: dict[str, list[float]] = {}
    path = lake / "held" / "ticks"
    if path.exists():
        for line in path.read_text().splitlines():
            tick = json.loads(line)
            found.setdefault(tick["who"], []).append(tick["at"])
    return found


def overlap_of(ticks: dict[str, list[float]]) -> float:
    """For how many seconds an earlier process worked after a later one had begun."""
    order = sorted(ticks.values(), key=min)
    beside = [sum(at > min(after) for at in before) for before, after in itertools.pairwise(order)]
    return max(beside, default=0) * TICK


def writes_of(table: Path) -> list[str]:
    """Return the authors of a table's commits, in order."""
    found = []
    for path in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        added = [json.loads(each["add"]["stats"])["minValues"] for each in actions if "add" in each]
        found.append(str(added[0]["who"]) if added else "nobody")
    return found


def stale_writes(writes: list[str], ticks: dict[str, list[float]]) -> int:
    """How many commits an earlier process made after the first of one that had begun later."""
    began = {who: min(times) for who, times in ticks.items()}
    return sum(
        any(began[later] > began[who] for later in writes[:place]) for place, who in enumerate(writes) if who in began
    )


def judge(
    verdict: Verdict,
    run: Run | None,
    spans: list[Span],
    lake: Path,
    table: Path,
    *,
    injection: float,
    limit: float,
    now: float,
    marked: bool,
    colour: str | None,
    alive: list[int],
) -> None:
    """
    Fill in what was measured, and what is held against the run.

    :param lake: Where who computed wrote down that it is alive.
    :param table: The folder of the table that the work makes.
    :param limit: When no cluster might be alive any more.
    :param marked: Whether somebody told Airflow that the run has failed, or is not to be.
    :param colour: What it must end as, where only one is honest.
    :param alive: Processes of jobs that are still there.
    """
    verdict.clusters = len(spans)
    verdict.colour = None if run is None else ("deleted" if run.gone else run.state)
    over = None if run is None else run.over
    if run is not None:
        verdict.tasks = {name: str(task.state) for name, task in sorted(run.tasks.items())}
        verdict.tries = {name: task.tries for name, task in sorted(run.tasks.items())}
    verdict.ended_after = None if over is None else round(max(over - injection, 0.0), 1)
    last = max((span.gone or now for span in spans), default=None)
    verdict.gone_after = None if last is None else round(max(last - injection, 0.0), 1)
    ticks = ticks_of(lake)
    verdict.executions = len(ticks)
    verdict.overlap = round(overlap_of(ticks), 1)
    writes = writes_of(table)
    verdict.writes = len(writes)

    late = [span for span in spans if (span.gone or now) > limit]
    verdict.leak = bool(late)
    if late:
        verdict.faults.append(f"leak: {len(late)} cluster(s) alive after the bound")
    if alive:
        verdict.faults.append(f"leak: {len(alive)} process(es) of a job live on")
    if verdict.control:
        return
    verdict.faults += _colour(verdict, spans, over, marked, colour)
    stale = stale_writes(writes, ticks)
    if stale:
        verdict.faults.append(f"stale: {stale} write(s) of a try after the first of its successor")
    if verdict.colour == "success" and not writes and not marked:
        verdict.faults.append("lie: green, and the table was not written")
    if verdict.overlap > BESIDE:
        verdict.faults.append(f"stale: an earlier try computed for {verdict.overlap} s beside its successor")


def _colour(verdict: Verdict, spans: list[Span], over: float | None, marked: bool, colour: str | None) -> list[str]:
    found = []
    undone = sorted(name for name, state in verdict.tasks.items() if state not in _DONE)
    if verdict.colour == "success":
        if undone:
            found.append(f"lie: green with {', '.join(f'{name} {verdict.tasks[name]}' for name in undone)}")
        if over is not None and any(span.gone is None or span.gone > over + 1 for span in spans):
            found.append("lie: green, and its cluster lived on")
    if verdict.colour == "failed" and not undone and not marked:
        found.append("lie: red, and all was done")
    if colour is not None and verdict.colour != colour:
        found.append(f"colour: {verdict.colour}, and it must be {colour}")
    return found
