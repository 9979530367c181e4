"""Run one date, or several, and show progress and outcome on a console."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from airflow_wall.cli.dates import DateRange, Slot, shown, slots
from airflow_wall.cli.idle import idle_reason
from airflow_wall.cli.outcome import Change, RunOutcome, show_messages
from airflow_wall.cli.output import NOTHING_TO_DO, USER_FAULT, short
from airflow_wall.cli.prepare import Prepared
from airflow_wall.cli.progress import Progress
from airflow_wall.cli.runner import Runner, has_succeeded
from airflow_wall.cli.stale import StaleSlice
from airflow_wall.cli.summary import results_of_run, show_summary, totals
from airflow_wall.diagnostics.printable import counted


@dataclass(frozen=True)
class Driver:
    """
    Runs dates of one pipeline.

    :param prepared: The pipeline, ready to run.
    :param console: Console for the output.
    :param parallel: Maximum number of tasks that run at once.
    :param retry_wait: Maximum wait before a retry.
    :param command: The command line that the user gave, without its dates.
    :param runs: The runs so far, for `--json`.
    """

    prepared: Prepared
    console: Console
    parallel: int
    retry_wait: timedelta
    command: Sequence[str]
    runs: list[dict[str, Any]] = field(default_factory=list)

    def run_date(self, date: datetime | None) -> int:
        """Run one logical date, by default now. Return the exit code."""
        outcome, idle = self._run(date)
        if outcome.success:
            return NOTHING_TO_DO if idle else 0
        self.console.print("fix it and run the same command again: it continues where it stopped")
        return USER_FAULT

    def run_range(self, date_range: DateRange) -> int:
        """
        Run the dates of the schedule in a range, one after the other, and stop at the first that fails.

        Dates that succeeded before are skipped. Return the exit code: 4 if no date had anything to do.
        """
        dates = slots(self.prepared.dag, date_range)
        first, last = shown(dates[0].logical_date), shown(dates[-1].logical_date)
        self.console.print(
            f"{len(dates)} dates of the schedule, {first} to {last}"
            if len(dates) > 1
            else f"one date of the schedule, {first}"
        )
        lines: list[str] = []
        did_work = False
        for index, slot in enumerate(dates):
            name = shown(slot.logical_date)
            if has_succeeded(self.prepared, slot.logical_date):
                lines.append(f"{name}  success  earlier")
                did_work = True
                continue
            self.console.print(f"\n{name} ({index + 1} of {len(dates)})")
            started = time.monotonic()
            outcome, idle = self._run(slot.logical_date, slot)
            did_work = did_work or not idle
            seconds = f"{time.monotonic() - started:6.1f} s"
            about = idle or totals(results_of_run(self.prepared.plan, outcome.run_id))
            lines.append(f"{name}  {'nothing' if idle else _state(outcome):<7}  {seconds}  {about}")
            if not outcome.success:
                self._show_dates([*lines, *(f"{shown(slot.logical_date)}  not run" for slot in dates[index + 1 :])])
                self.console.print(f"\nfix it and continue: {self._command_to_resume(name, date_range)}")
                return USER_FAULT
        self._show_dates(lines)
        return 0 if did_work else NOTHING_TO_DO

    def run_dates(self, dates: Sequence[datetime]) -> int:
        """Run dates, one after the other, and stop at the first that fails. Return the exit code."""
        if not dates:
            self.console.print(f"{self.prepared.plan.dag_id}: no such dates, nothing to run")
            return NOTHING_TO_DO
        for index, date in enumerate(dates):
            self.console.print(f"\n{shown(date)} ({index + 1} of {len(dates)})")
            outcome, _ = self._run(date)
            if not outcome.success:
                self.console.print("fix it and run the same command again")
                return USER_FAULT
        return 0

    def run_stale(self, stale: Sequence[StaleSlice]) -> int:
        """Run the tasks of stale slices again, the earliest slice first, and stop at the first that fails."""
        for index, part in enumerate(stale):
            name = part.slice_id if part.date is None else shown(part.date)
            tables = f": {', '.join(part.tables)}" if part.tables else ""
            self.console.print(f"\n{name} ({index + 1} of {len(stale)}){tables}")
            outcome, _ = self._run(None, stale=part)
            if not outcome.success:
                self.console.print("fix it and run the same command again")
                return USER_FAULT
        return 0

    def _run(
        self, date: datetime | None, slot: Slot | None = None, stale: StaleSlice | None = None
    ) -> tuple[RunOutcome, str | None]:
        """Run, and show progress and outcome. Return the outcome, and the reason why it had nothing to do, if so."""
        plan, console = self.prepared.plan, self.console
        runner = Runner(self.prepared, parallel=self.parallel, retry_wait=self.retry_wait)
        messages: list[Change] = []
        tasks = [task.task_id for task in plan.tasks]
        updates = runner.run(date, slot.interval if slot else None, stale)
        with Progress(console, tasks) as progress, contextlib.closing(updates):
            for changes in updates:
                progress.show(changes)
                messages += [change for change in changes if change.message]
        outcome = runner.outcome()
        resumed = " (resumed)" if outcome.resumed else ""
        idle = None if stale else idle_reason(plan, outcome, date)
        state = f"nothing to do: {idle}" if idle else _state(outcome)
        last = {change.task_id: change.message for change in messages}
        self.runs.append(
            {
                "date": None if date is None else date.isoformat(),
                "run_id": outcome.run_id,
                "state": "nothing" if idle else _state(outcome),
                "reason": idle,
                "tasks": [
                    {"id": task_id, "state": outcome.states.get(task_id), "message": last.get(task_id)}
                    for task_id in tasks
                ],
                "results": outcome.results,
            }
        )
        console.print(f"\nrun {outcome.run_id}{resumed}: {state}\n")
        steps = results_of_run(plan, outcome.run_id)
        show_summary(console, plan, steps, shlex.join(self.command), None if outcome.success else outcome.states)
        show_messages(console, messages, outcome)
        if not outcome.success:
            self._show_logs(outcome)
        return outcome, idle

    def _show_logs(self, outcome: RunOutcome) -> None:
        logs = self.prepared.home.logs / f"dag_id={self.prepared.plan.dag_id}" / f"run_id={outcome.run_id}"
        self.console.print(f"\nlogs: {short(logs)}")
        passed_over = sum(state == "upstream_failed" for state in outcome.states.values())
        if passed_over:
            self.console.print(f"{counted(passed_over, 'task')} after it did not run")

    def _show_dates(self, lines: Sequence[str]) -> None:
        self.console.print("")
        for line in lines:
            self.console.print(line.rstrip())

    def _command_to_resume(self, first: str, date_range: DateRange) -> str:
        to = [] if date_range.to is None else ["--to", date_range.to]
        return shlex.join([*self.command, "--from", first, *to])


def _state(outcome: RunOutcome) -> str:
    return "success" if outcome.success else "failed"
