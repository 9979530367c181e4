"""Show a run as it goes: a live table on a terminal, a line per change anywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from airflow_wall.cli.runner import Change

_SIGNS = {
    "running": ("▶", "cyan"),
    "success": ("✔", "green"),
    "failed": ("✖", "red"),
    "skipped": ("↷", "yellow"),
    "upstream_failed": ("✖", "dim red"),
    "up_for_retry": ("↻", "yellow"),
    "up_for_reschedule": ("…", "yellow"),
    "deferred": ("…", "yellow"),
}
_LINES = ("success", "failed", "skipped", "upstream_failed", "up_for_retry", "up_for_reschedule", "deferred")


class Progress:
    """
    The states of a run's tasks, on a console.

    :param console: Where to.
    :param tasks: Ids of the tasks, in the order they are shown.
    """

    def __init__(self, console: Console, tasks: Sequence[str]) -> None:
        self.console = console
        self.changes: dict[str, Change | None] = dict.fromkeys(tasks)
        self.started: dict[str, float] = {}
        self.live = (
            Live(get_renderable=self._table, console=console, refresh_per_second=8) if console.is_terminal else None
        )

    def __enter__(self) -> Progress:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def show(self, change: Change) -> None:
        """Take in one change."""
        self.changes[change.task_id] = change
        if change.state == "running":
            self.started[change.task_id] = time.monotonic()
        if self.live is None and change.state in _LINES:
            self.console.print(self._line(change))

    def _line(self, change: Change) -> str:
        seconds = f" {change.seconds:6.1f} s" if change.seconds is not None else " " * 9
        return f"{_SIGNS[change.state][0]} {change.state:<15} {change.task_id:<36}{seconds}{_attempt(change)}"

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for task_id, change in self.changes.items():
            state = change.state if change else "none"
            sign, style = _SIGNS.get(state, ("·", "dim"))
            seconds = change.seconds if change and state != "running" else None
            if state == "running":
                seconds = time.monotonic() - self.started[task_id]
            shown = f"{seconds:.1f} s" if seconds is not None else ""
            attempt = _attempt(change) if change else ""
            table.add_row(
                Text(sign, style),
                Text(task_id),
                Text("" if state == "none" else state, style),
                Text(shown, "dim"),
                Text(attempt, "dim"),
            )
        return table


def _attempt(change: Change) -> str:
    return f"  try {change.try_number}" if change.try_number > 1 else ""
