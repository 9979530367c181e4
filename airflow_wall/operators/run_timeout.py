"""Limit the duration of a run without skipping its teardowns."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class RunTimeout:
    """
    A `pre_execute` hook that ends the task when its run has reached the limit, and lets no later try start.

    With `DAG(dagrun_timeout=...)` Airflow skips all unfinished tasks, teardowns included, and a cluster stays up. With
    this hook on every task except the teardowns, the work fails and the teardowns run.

    :param limit: Longest duration of a run, counted from its start.
    :param then: The task's own `pre_execute` hook, which is called next.
    """

    def __init__(self, limit: timedelta, then: Callable[[Context], None] | None = None) -> None:
        self.limit = limit
        self.then = then

    def __call__(self, context: Context) -> None:
        """
        Limit the execution time of the task that is about to run.

        :raises AirflowFailException: the run has already reached the limit, so retries are useless.
        """
        run: Any = context["dag_run"]
        remaining = (run.start_date or run.run_after) + self.limit - datetime.now(UTC)
        if remaining <= timedelta(0):
            raise AirflowFailException(
                f"the run has taken longer than `dagrun_timeout`, {self.limit}, so this task does not run"
                "\n\nhint: find out what took so long, or raise `dagrun_timeout`; then clear the failed tasks"
            )
        task: Any = context["task"]
        if task.execution_timeout is None or remaining < task.execution_timeout:
            log.info("this task may take %s, until the run reaches its `dagrun_timeout` of %s", remaining, self.limit)
            task.execution_timeout = remaining
        if self.then is not None:
            self.then(context)
