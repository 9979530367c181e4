"""`StopClusterOperator`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.start_cluster import StartClusterOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_OVER = frozenset(("success", "failed", "skipped", "upstream_failed", "removed"))
_FAILED = frozenset(("failed", "upstream_failed"))


class StopClusterOperator(StepOperator):
    """
    Stop the cluster that a task of this run started, whatever happened in between.

    It waits until no task that works on the cluster is under way: a teardown is started as soon as the tasks right
    before it are over, and those may have failed because of one branch while another still computes.

    :param cluster: Id of the `StartClusterOperator` task. (templated)
    :param poll_interval: Seconds between two looks at the tasks under way.
    """

    template_fields: Sequence[str] = ("cluster",)
    ui_color = "#f4cccc"

    def __init__(self, *, cluster: str, poll_interval: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the name of the cluster and whether there was one."""
        starter = self.partner(self.cluster)
        assert isinstance(starter, StartClusterOperator)
        states = self._wait_for_users(context)
        with self.told(context):
            name, config = starter.name_and_config(context)
            stopped = open_cluster(name, config, self.run_of(context).state).delete()
        self.log.info("cluster %s is stopped" if stopped else "there was no cluster %s", name)
        failed = sorted(task_id for task_id, state in states.items() if state in _FAILED)
        if failed and not self.downstream_task_ids:
            # As the last task of the DAG its colour would be the run's, and a failed run would look green.
            listed = ", ".join(f"`{task_id}`" for task_id in failed)
            raise AirflowFailException(f"cluster `{name}` is stopped; this run has failed because of {listed}")
        return {"name": name, "stopped": stopped}

    def _wait_for_users(self, context: Context) -> dict[str, str | None]:
        users = [
            task.task_id
            for task in context["dag"].tasks
            if isinstance(task, ComputeOperator) and task.cluster == self.cluster
        ]
        ti = context["ti"]
        while users:
            found = ti.get_task_states(dag_id=ti.dag_id, task_ids=users, run_ids=[ti.run_id])
            states: dict[str, str | None] = found.get(ti.run_id, {})
            busy = [task_id for task_id in users if states.get(task_id) not in _OVER]
            if not busy:
                return states
            self.log.info("waiting for %s before the cluster is stopped", ", ".join(busy))
            time.sleep(self.poll_interval)
        return {}
