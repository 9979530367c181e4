"""Bounding how long a run takes without leaving out its clean-up."""

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
    A `pre_execute` hook: the task ends when its run has taken so long, and no try of it begins later.

    `DAG(dagrun_timeout=...)` has Airflow skip all tasks that have not ended, teardowns included, and a cluster goes on.
    With this on every task but the teardowns, the work fails and the teardowns run.

    :param limit: How long a run may take, counted from its start.
    :param then: A `pre_execute` hook of the task's own, which is called next.
    """

    def __init__(self, limit: timedelta, then: Callable[[Context], None] | None = None) -> None:
        self.limit = limit
        self.then = then

    def __call__(self, context: Context) -> None:
        """
        Bound the task that is about to run.

        :raises AirflowFailException: the run has taken so long already; no retry would find it otherwise.
        """
        run: Any = context["dag_run"]
        left = (run.start_date or run.run_after) + self.limit - datetime.now(UTC)
        if left <= timedelta(0):
            raise AirflowFailException(
                f"the run has taken longer than `dagrun_timeout`, {self.limit}, so this task does not run"
                "\n\nhint: look what took so long; to run the rest, raise `dagrun_timeout` and clear the failed tasks"
            )
        task: Any = context["task"]
        if task.execution_timeout is None or left < task.execution_timeout:
            log.info("this task may take %s: then the run has taken `dagrun_timeout`, %s", left, self.limit)
            task.execution_timeout = left
        if self.then is not None:
            self.then(context)
