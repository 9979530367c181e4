"""The outcome of a run: the changes of its tasks, and the reasons why tasks failed, were skipped or retried."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_wall.diagnostics.suggestions import listed


@dataclass(frozen=True)
class Change:
    """
    A change of a task's state.

    :param state: Airflow's name of the state, e.g. `running`.
    :param seconds: Duration of the try, if it has ended; None for a task that did not run.
    :param message: Reason of a failure or a skip, from the log.
    :param earlier: True if the task reached this state before this call, in the run that is resumed.
    :param log: Its log, while it is running.
    """

    task_id: str
    state: str
    try_number: int
    seconds: float | None = None
    message: str | None = None
    earlier: bool = False
    log: Path | None = None


@dataclass(frozen=True)
class RunOutcome:
    """
    The outcome of a run.

    :param run_id: Airflow's run id.
    :param resumed: True if an earlier, unfinished run of the same date was resumed.
    :param repeated: Tasks that had succeeded in it and ran again, because their code, arguments or files have changed.
    :param states: Task id to its last state.
    :param results: Task id to its return value.
    """

    run_id: str
    success: bool
    resumed: bool
    repeated: list[str]
    states: dict[str, str]
    results: dict[str, Any]


_MEMORY = "hint: often this means that memory ran out: use a machine with more memory, or `--parallel 1`"

SILENT = f"its process and the one that watched it were killed\n\n{_MEMORY}"
"""Reason for a task whose log holds none."""


def failure_reason(log: Path) -> str | None:
    """
    Return the last error, signal or reason of a skip in a log; None if there is none.

    :param log: A log file of Airflow, with one JSON object per line.
    """
    reason = None
    with contextlib.suppress(OSError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                reason = _reason_in(json.loads(line)) or reason
    return reason


def last_output(log: Path) -> str | None:
    """Return the last line that the code of a task has printed or logged, or None if it has not yet."""
    last = None
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        for line in file.read().decode("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                logger = str(entry.get("logger", "")) if isinstance(entry, dict) else ""
                if logger in _PRINTED or logger.partition(".")[0] not in _AIRFLOW:
                    last = str(entry.get("event", "")).strip() or last
    return last


_TAIL = 8192
"""Bytes at the end of a log that are read for its last line."""

_AIRFLOW = ("airflow", "task", "py", "")
"""Loggers that say nothing about the progress of the work."""

_PRINTED = ("task.stdout", "task.stderr")


def _reason_in(entry: dict[str, Any]) -> str | None:
    details = entry.get("error_detail") or entry.get("exception")
    if isinstance(details, list) and details and isinstance(details[0], dict) and details[0].get("exc_value"):
        kind, value = details[0].get("exc_type"), str(details[0]["exc_value"])
        return value if kind == "AirflowFailException" or value.startswith("task `") else f"{kind}: {value}"
    event = str(entry.get("event", ""))
    if event.startswith("Skipping"):
        return str(entry.get("reason") or event)
    if event.startswith("Process terminated by signal"):
        name = entry.get("signal_name")
        return f"its process was killed by signal {name}" + (f"\n\n{_MEMORY}" if name == "SIGKILL" else "")
    return None


def show_messages(console: Console, changes: Sequence[Change], outcome: RunOutcome) -> None:
    """
    Print the reasons.

    :param changes: Changes with a message, oldest first.
    """
    for change in changes:
        if change.state == "up_for_retry":
            [reason, *_] = (change.message or "").splitlines()
            console.print(f"{'retried':<13}{reason}")
    if outcome.repeated:
        console.print(f"{'repeated':<13}{listed(outcome.repeated)}: its inputs have changed since")
    for message in _messages_of(changes, outcome, "skipped"):
        console.print(message)
    if passed_over := _passed_over(changes, outcome):
        console.print(f"{'not chosen':<13}{listed(passed_over)}: skipped, as a task before decided")
    # A run may succeed although a task failed, e.g. if the trigger rules of later tasks allow it.
    kind = "warning" if outcome.success else "error"
    for message in _messages_of(changes, outcome, "failed"):
        console.print(f"\n{kind}: {message}")


def _passed_over(changes: Iterable[Change], outcome: RunOutcome) -> list[str]:
    """Return the tasks that are skipped without a reason of their own: a branch or a task before decided so."""
    own = {change.task_id for change in changes if change.state == "skipped"}
    return sorted(task_id for task_id, state in outcome.states.items() if state == "skipped" and task_id not in own)


def _messages_of(changes: Iterable[Change], outcome: RunOutcome, state: str) -> list[str]:
    """Return the messages of tasks that ended in `state`; messages that differ only in the task are merged."""
    last = {change.task_id: change.message or "" for change in changes if outcome.states[change.task_id] == state}
    tasks: dict[str, list[str]] = {}
    for task_id, message in last.items():
        tasks.setdefault(message.removeprefix(f"task `{task_id}`"), []).append(task_id)
    return [
        f"{_tasks_text(sorted(task_ids))}{text}" if text.startswith(" (") else text for text, task_ids in tasks.items()
    ]


def _tasks_text(task_ids: Sequence[str]) -> str:
    return f"task{'s' if len(task_ids) > 1 else ''} {listed(task_ids)}"
