"""The words for a task that reads a table before the tasks that write or check it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_wall.diagnostics.suggestions import listed

LISTED = 5
"""The most tasks that a message names."""


def early(verb: str, table: str, others: Sequence[str], action: str, after: Collection[str]) -> str:
    """
    Return the message for a table that a task reads too early.

    :param verb: The verb for reading it: `reads`, `checks` or `publishes`.
    :param others: The other tasks that should come before; empty if the task itself writes the table.
    :param action: The work of these tasks: `write` or `check`.
    :param after: Those of them that wait for the task.
    """
    if not others:
        return f"{verb} `{table}`, which it writes itself"
    beside = [task for task in others if task not in after]
    named = beside or others
    clause = f"{verb} `{table}`, which {listed(named, LISTED)} {action}{'s' if len(named) == 1 else ''}"
    if not beside:
        return f"{clause} only after it"
    return f"{clause}, but does not wait for {'it' if len(named) == 1 else 'them'}"


def unwritten(verb: str, table: str, *, is_pattern: bool = False) -> str:
    """Return the message for a table that no task writes, or for a pattern that covers no such table."""
    which = "covers no table that a task here writes" if is_pattern else "no task here writes"
    return f"{verb} `{table}`, which {which}"


def earlier_rows(external: str) -> str:
    """
    Return the hint for a table of an earlier run.

    :param external: The words that say that its rows come from elsewhere or from an earlier run.
    """
    return f"write `{external}` if it means rows of an earlier run"


def elsewhere(external: str) -> str:
    """Return the hint for a table that no task writes."""
    return f"write `{external}` if its rows come from elsewhere or from an earlier run"


def no_gate(checkers: Sequence[str]) -> str:
    """Return the hint for checks that come after the publication of their table."""
    return f"write `gate: false` in {listed(checkers, LISTED)} if its checks do not decide what is published"
