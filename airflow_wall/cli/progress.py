"""Show the progress of a run: a live table on a terminal, otherwise a line per change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from airflow_wall.cli.outcome import Change, last_output
from airflow_wall.diagnostics.printable import printable_line

REDRAW = 0.125
"""Seconds between two updates of the live table."""

LOOK = 0.5
"""Seconds between two looks at the log of a running task."""

_SIGNS = {
    "queued": ("▶", "dim cyan"),
    "running": ("▶", "cyan"),
    "success": ("✔", "green"),
    "failed": ("✖", "red"),
    "skipped": ("↷", "yellow"),
    "up_for_retry": ("↻", "yellow"),
    "up_for_reschedule": ("…", "yellow"),
    "deferred": ("…", "yellow"),
}
_WORDS = {"none": "", "upstream_failed": "not run", "up_for_retry": "will retry", "up_for_reschedule": "waiting"}
_LINES = ("success", "failed", "skipped", "up_for_retry", "up_for_reschedule", "deferred")
_OVER = ("success", "skipped", "upstream_failed")
_TASK = 36


class Progress:
    """
    Shows the states of a run's tasks on a console.

    The live table is drawn by the caller of `show`, never by a thread: a fork would inherit the thread's locks, held
    for ever, and the first task to print would hang.

    :param console: The console to draw on.
    :param tasks: Ids of the tasks, in display order.
    """

    def __init__(self, console: Console, tasks: Sequence[str]) -> None:
        self.console = console
        self.changes: dict[str, Change | None] = dict.fromkeys(tasks)
        self.started: dict[str, float] = {}
        self.outputs: dict[str, tuple[float, str | None]] = {}
        self.drawn = 0.0
        self.live = _live(console) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.update(self._table(list(self.changes)), refresh=True)
            self.live.stop()

    def show(self, changes: Sequence[Change]) -> None:
        """Apply the changes since the last call, which may be none, and draw."""
        for change in changes:
            self.changes[change.task_id] = change
            if change.state == "running":
                self.started[change.task_id] = time.monotonic()
            if self.live is None and _is_shown(change):
                self.console.print(_line(change))
        if self.live is not None and (changes or time.monotonic() >= self.drawn + REDRAW):
            self.drawn = time.monotonic()
            self.live.update(self._table(self._visible(self.console.height - 2)), refresh=True)

    def _visible(self, room: int) -> list[str]:
        """Return the tasks that fit into `room` lines: the earliest finished tasks are left out first."""
        tasks = list(self.changes)
        over = [task_id for task_id in tasks if self._state(task_id) in _OVER]
        hidden = set(over[: max(0, len(tasks) - room)])
        return [task_id for task_id in tasks if task_id not in hidden][: max(1, room)]

    def _state(self, task_id: str) -> str:
        change = self.changes[task_id]
        return change.state if change else "none"

    def _note(self, change: Change) -> str:
        """Return the remark on a task, and the last line that a running one has printed."""
        remark = _remark(change)
        if change.log is None:
            return remark
        looked, line = self.outputs.get(change.task_id, (0.0, None))
        if time.monotonic() >= looked + LOOK:
            line = last_output(change.log)
            self.outputs[change.task_id] = time.monotonic(), line
        return "  ".join(text for text in (remark, printable_line(line or "")) if text)

    def _table(self, tasks: Sequence[str]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=1)
        table.add_column(min_width=min(_TASK, max(map(len, self.changes), default=0)))
        table.add_column(min_width=10)
        table.add_column(min_width=7, justify="right")
        table.add_column()
        for task_id in tasks:
            change, state = self.changes[task_id], self._state(task_id)
            sign, style = _SIGNS.get(state, ("·", "dim"))
            seconds = change.seconds if change and state != "upstream_failed" else None
            if state == "running":
                seconds = time.monotonic() - self.started[task_id]
            table.add_row(
                Text(sign, style),
                Text(printable_line(task_id), "" if change else "dim"),
                Text(_word(state), style),
                Text(f"{seconds:.1f} s" if seconds is not None else "", "dim"),
                Text(self._note(change) if change else "", "dim", no_wrap=True, overflow="ellipsis"),
            )
        return table


def _live(console: Console) -> Live:
    # Airflow's output is redirected to a file by its descriptor; rich would send it to the terminal again.
    return Live(
        console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop"
    )


def _is_shown(change: Change) -> bool:
    """Return True if a change gets a line. A task that is skipped because of another gets none."""
    passed_over = change.state == "skipped" and change.seconds is None
    return change.state in _LINES and not change.earlier and not passed_over


def _line(change: Change) -> str:
    seconds = f" {change.seconds:6.1f} s" if change.seconds is not None else " " * 9
    remark = _remark(change)
    text = f"{_SIGNS[change.state][0]} {_word(change.state):<11} {change.task_id:<{_TASK}}{seconds}  {remark}"
    return text.rstrip()


def _word(state: str) -> str:
    return _WORDS.get(state, state)


def _remark(change: Change) -> str:
    if change.earlier:
        return "earlier"
    return f"try {change.try_number}" if change.try_number > 1 else ""
