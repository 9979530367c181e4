"""The words of a notification. Plain Python: no Airflow."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

VERBS = {"failure": "failed", "success": "succeeded", "retry": "will be tried again", "deadline": "missed its deadline"}
"""What has happened to what it is said of."""

MAX_TASKS = 20
"""Names of tasks in one message; a run may have a thousand."""


@dataclass(frozen=True)
class Notice:
    """
    What has happened; templates of a notification know it as `notice`.

    :param event: `failure`, `success`, `retry` or `deadline`.
    :param dag_id: The pipeline.
    :param run_id: Its run.
    :param url: The page of the run, or of the task, in the UI.
    :param task_id: The task that is tried again; nothing for what happens to a whole run.
    :param tasks: The tasks that failed.
    :param reason: What Airflow says of it.
    :param environment: The environment in force, if the pipeline has any.
    """

    event: str
    dag_id: str
    run_id: str
    url: str
    task_id: str | None = None
    tasks: tuple[str, ...] = ()
    reason: str | None = None
    environment: str | None = None

    @property
    def subject(self) -> str:
        """One line that says it."""
        what = self.dag_id if self.task_id is None else f"{self.dag_id}: {self.task_id}"
        place = f" ({self.environment})" if self.environment else ""
        return f"{what} {VERBS[self.event]}{place}"

    @property
    def text(self) -> str:
        """All of it, as plain text of a few lines."""
        lines = [self.subject, f"run: {self.run_id}"]
        if self.tasks:
            more = len(self.tasks) - MAX_TASKS
            names = ", ".join(self.tasks[:MAX_TASKS]) + (f" and {more} more" if more > 0 else "")
            lines.append(f"failed: {names}")
        if self.reason:
            lines.append(f"reason: {self.reason}")
        return "\n".join([*lines, self.url])

    @property
    def html(self) -> str:
        """The same as HTML, for mail."""
        *lines, url = self.text.splitlines()
        link = html.escape(url, quote=True)
        return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + f'<p><a href="{link}">{link}</a></p>'

    @property
    def data(self) -> dict[str, Any]:
        """The same as fields, for machines."""
        names = ("event", "dag_id", "run_id", "task_id", "tasks", "reason", "environment", "url", "subject", "text")
        found = {name: getattr(self, name) for name in names}
        return {**found, "tasks": list(self.tasks)}


def page_of(base_url: str, dag_id: str, run_id: str, task_id: str | None = None) -> str:
    """Where the UI shows a run, or one of its tasks."""
    run = f"{base_url.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return run if task_id is None else f"{run}/tasks/{quote(task_id, safe='')}"


def failed(states: Mapping[str, Any]) -> tuple[str, ...]:
    """The tasks that failed themselves, of task to state; sorted."""
    return tuple(sorted(task_id for task_id, state in states.items() if str(state) == "failed"))
