"""Why tasks of a run failed, were skipped or retried: each reason once, however many tasks it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console

from airflow_wall.cli.changes import Change, Outcome


def show_messages(console: Console, said: Sequence[Change], outcome: Outcome) -> None:
    """
    Print the reasons.

    :param said: Changes that have a message, in the order they came.
    """
    for change in said:
        if change.state == "up_for_retry":
            console.print(f"{'retried':<13}{_first_line(change)}")
    if outcome.repeated:
        console.print(f"{'repeated':<13}{_listed(outcome.repeated)}: made from something that has changed since")
    for message in _merged(said, outcome, "skipped"):
        console.print(message)
    # A run may succeed although a task failed: what comes after it was skipped for another reason, or does not mind.
    kind = "warning" if outcome.success else "error"
    for message in _merged(said, outcome, "failed"):
        console.print(f"\n{kind}: {message}")


def _merged(said: Iterable[Change], outcome: Outcome, state: str) -> list[str]:
    """The messages of tasks that ended in `state`; those that differ in nothing but the task become one."""
    last = {change.task_id: change.message or "" for change in said if outcome.states[change.task_id] == state}
    tasks: dict[str, list[str]] = {}
    for task_id, message in last.items():
        tasks.setdefault(message.removeprefix(f"task `{task_id}`"), []).append(task_id)
    return [f"{_named(sorted(found))}{text}" if text.startswith(" (") else text for text, found in tasks.items()]


def _named(task_ids: Sequence[str]) -> str:
    return f"task{'s' if len(task_ids) > 1 else ''} {_listed(task_ids)}"


def _listed(task_ids: Iterable[str]) -> str:
    return ", ".join(f"`{task_id}`" for task_id in task_ids)


def _first_line(change: Change) -> str:
    return (change.message or "").splitlines()[0]
