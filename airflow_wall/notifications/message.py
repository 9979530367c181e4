"""The text of a notification. This module does not import Airflow."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from airflow_wall.redaction import hide_urls

VERBS = {"failure": "failed", "success": "succeeded", "retry": "will be tried again", "deadline": "missed its deadline"}
"""The verb of the subject for each event."""

MAX_TASKS = 20
"""Most task names in one message; a run may have a thousand tasks."""


MAX_ERRORS = 5
"""Most errors of tasks in one message."""

MAX_ERROR_CHARACTERS = 500

NO_REASON = frozenset({"task_failure", "all_tasks_deadlocked"})
"""Reasons of Airflow that say no more than that the run failed."""

NO_ERROR = "its process ended without an error, e.g. because it was killed; see its log"

MAX_SLICES = 5
"""Most withheld slices in one message."""


@dataclass(frozen=True)
class Notice:
    """
    An event of a run; templates of a notification use it as `notice`.

    :param event: `failure`, `success`, `retry` or `deadline`.
    :param dag_id: The id of the pipeline's DAG.
    :param run_id: The id of the run.
    :param url: The page of the run, or of the task, in the UI.
    :param task_id: The task that will be retried; None for events of a whole run.
    :param tasks: The tasks that failed.
    :param errors: Failed task -> its error in one line, with the file and line of the pipeline if it has one.
    :param logical_date: The logical date of the run, in ISO format.
    :param reason: The reason that Airflow gives.
    :param environment: The active environment, if the pipeline has any.
    :param withheld: Slices that the run's release leaves out: `table`, `slice` and `reason` of each.
    """

    event: str
    dag_id: str
    run_id: str
    url: str
    task_id: str | None = None
    tasks: tuple[str, ...] = ()
    reason: str | None = None
    environment: str | None = None
    withheld: tuple[Mapping[str, str], ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    logical_date: str | None = None

    @property
    def subject(self) -> str:
        """The event in one line."""
        what = self.dag_id if self.task_id is None else f"{self.dag_id}: {self.task_id}"
        place = f" ({self.environment})" if self.environment else ""
        return f"{what} {VERBS[self.event]}{place}"

    @property
    def text(self) -> str:
        """The whole notice as plain text of a few lines."""
        lines = [self.subject, f"run: {self.run_id}"]
        if self.tasks:
            more = len(self.tasks) - MAX_TASKS
            names = ", ".join(self.tasks[:MAX_TASKS]) + (f" and {more} more" if more > 0 else "")
            lines.append(f"failed: {names}")
        lines += [f"{task}: {self.errors.get(task, NO_ERROR)}" for task in self.tasks[:MAX_ERRORS]]
        if self.reason and self.reason not in NO_REASON:
            lines.append(f"reason: {self.reason}")
        lines += self._withheld_lines()
        if self.tasks:
            lines.append(self._next_step())
        return "\n".join([*lines, self.url])

    def _next_step(self) -> str:
        step = "next: correct the cause, then clear the failed tasks on the page of the run"
        if self.logical_date is None:
            return step
        dates = f"--start-date {self.logical_date} --end-date {self.logical_date}"
        return f"{step}, or: airflow tasks clear {self.dag_id} --only-failed --yes {dates}"

    def _withheld_lines(self) -> list[str]:
        lines = []
        for item in self.withheld[:MAX_SLICES]:
            lines.append(f"withheld: {item['table']}, slice {item['slice']}: {item['reason']}")
            lines.append(
                "clear the run of that date after the data are correct, or: "
                f"airflow-wall tables drop-slice {item['table']} {item['slice']} --reason WHY"
            )
        more = len(self.withheld) - MAX_SLICES
        return [*lines, f"and {more} more slices"] if more > 0 else lines

    @property
    def html(self) -> str:
        """The text as HTML, for mail."""
        *lines, url = self.text.splitlines()
        link = html.escape(url, quote=True)
        return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + f'<p><a href="{link}">{link}</a></p>'

    @property
    def data(self) -> dict[str, Any]:
        """The notice as JSON fields, for machines."""
        names = ("event", "dag_id", "run_id", "task_id", "tasks", "reason", "environment", "url", "subject", "text")
        values = {name: getattr(self, name) for name in names}
        withheld = [dict(item) for item in self.withheld]
        return {**values, "tasks": list(self.tasks), "errors": dict(self.errors), "withheld": withheld}


def one_line(error: object) -> str:
    """Return the text of an error in one line, without logins, cut to `MAX_ERROR_CHARACTERS`."""
    text = " ".join(hide_urls(str(error)).split()) or type(error).__name__
    return text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[:MAX_ERROR_CHARACTERS]} ..."


def page_of(base_url: str, dag_id: str, run_id: str, task_id: str | None = None) -> str:
    """Return the address of a run, or of one of its tasks, in the UI."""
    run = f"{base_url.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return run if task_id is None else f"{run}/tasks/{quote(task_id, safe='')}"


def failed(states: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tasks in the state `failed`, sorted; `upstream_failed` does not count."""
    return tuple(sorted(task_id for task_id, state in states.items() if str(state) == "failed"))
