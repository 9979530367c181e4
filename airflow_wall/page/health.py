"""Judge each pipeline by Airflow's last run and by what `wall_upkeep` has written about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.page.stored import DagFacts
from airflow_wall.storage.pipeline_status import BAD, OK, WARNING

OVERDUE = timedelta(minutes=15)
"""A run is late if it has not started for this long after it was due."""

OLD = timedelta(minutes=35)
"""Documents that are older than this are called old: three runs of `wall_upkeep` have not written them."""

BEHIND = timedelta(minutes=20)
"""The history of a run should be there this long after the run has ended."""

UNKNOWN = "no history"

_RANK = {BAD: 0, WARNING: 1, UNKNOWN: 2, OK: 3}

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Reason:
    """
    Something that is not as it should be.

    :param next: What to do.
    """

    kind: str
    text: str
    next: str = ""


@dataclass(frozen=True)
class Row:
    """
    A pipeline in the overview.

    :param entry: What `wall_upkeep` has written; empty if nothing.
    """

    dag_id: str
    health: str
    reasons: tuple[Reason, ...]
    dag: DagFacts
    entry: Document = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, str]:
        """Place in the list: what is bad comes first."""
        return _RANK.get(self.health, 0), self.dag_id


def judged(dag: DagFacts, entry: Document | None, now: datetime) -> Row:
    """Return the row of a pipeline: what is bad by Airflow's last run, or by the last document."""
    reasons = _of_airflow(dag, now)
    bad = bool(reasons)
    health = BAD if bad else UNKNOWN if entry is None else OK
    if entry is not None and entry["health"] != OK:
        reasons.append(_with_file(Reason(entry.get("kind", ""), entry.get("reason", ""), entry.get("next", "")), dag))
        reasons = _without_twins(reasons)
        health = BAD if bad else entry["health"]
    if dag.paused:
        reasons.append(Reason("paused", "no run starts by itself", f"airflow dags unpause {dag.dag_id}"))
        health = WARNING if health in (OK, UNKNOWN) else health
    if entry is None:
        text = "wall_upkeep has written nothing about it yet"
        reasons.append(Reason(UNKNOWN, text, "set [wall] lakes, and unpause the DAG wall_upkeep"))
    return Row(dag.dag_id, health, tuple(reasons), dag, entry or {})


def with_file(text: str, dag: DagFacts) -> str:
    """Return a command with the file of the pipeline, if Airflow knows it: a loader in Python hides it."""
    return text.replace(" FILE", f" {dag.file}") if dag.file.endswith((".yaml", ".yml")) else text


def age(then: datetime | str | None, now: datetime | None = None) -> str:
    """Return how long ago a time is, in words."""
    if then is None:
        return "never"
    if isinstance(then, str):
        then = datetime.fromisoformat(then)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{abs(seconds) / length:.0f} {unit}"
    return f"{abs(seconds):.0f} s"


def is_behind(dag: DagFacts, entry: Document) -> bool:
    """Return True if Airflow has ended a run whose history should be there and is not."""
    ended = None if dag.last is None else dag.last.ended
    if ended is None or datetime.now(UTC) - ended < BEHIND:
        return False
    return ended - datetime.fromisoformat(entry["at"]) > BEHIND


def _of_airflow(dag: DagFacts, now: datetime) -> list[Reason]:
    reasons = []
    last = dag.last
    if dag.broken:
        reasons.append(Reason("broken", "its file has faults", with_file("airflow-wall validate FILE", dag)))
    if last is not None and last.state == "failed":
        tasks = listed(last.failed) or "no task"
        text = f"run {last.run_id}: failed: {tasks}"
        reasons.append(Reason("failed", text, "read the log of the task, correct it, then run it again below"))
    if not dag.paused and dag.next_run is not None and now - dag.next_run > OVERDUE:
        is_running = last is not None and last.state in ("running", "queued")
        if not is_running:
            text = f"a run was due {age(dag.next_run, now)} ago and has not started"
            reasons.append(Reason("late", text, "airflow-wall doctor"))
    return reasons


def _without_twins(reasons: list[Reason]) -> list[Reason]:
    """Return the reasons without Airflow's `failed` if the history has the error, which says more."""
    if [reason.kind for reason in reasons[:2]] == ["failed", "failed"]:
        return reasons[1:]
    return reasons


def _with_file(reason: Reason, dag: DagFacts) -> Reason:
    return Reason(reason.kind, reason.text, with_file(reason.next, dag))
