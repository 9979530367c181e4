"""`StopClusterOperator`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.job import Job
from airflow_wall.operators.base import PatientOperator, states_of
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.metrics import send_cluster
from airflow_wall.operators.on_cluster import OnClusterOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.storage.run_history import RunHistory

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

_OVER = frozenset(("success", "failed", "skipped", "upstream_failed", "removed"))
_FAILED = frozenset(("failed", "upstream_failed"))


class StopClusterOperator(OnClusterOperator, PatientOperator):
    """
    Stop the cluster that a task of this run started, even if tasks in between have failed.

    As a teardown it runs even if its setup, the start, has failed, because a killed start may leave a cluster. It has
    thirteen tries within about half an hour, unless the task itself sets `retries`.

    It waits until no task runs on the cluster. Airflow starts a teardown as soon as its direct upstream tasks have
    ended, and those may have failed because of one branch while another still computes. The wait occupies no worker.

    :param cluster: Id of the `StartClusterOperator` task.
    :param poll_interval: Time between two checks of the running tasks.
    """

    ui_color = "#f4cccc"
    stops_cluster: ClassVar[bool] = True
    default_settings: ClassVar[Mapping[str, Any]] = {
        "retries": 12,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=5),
    }

    def __init__(self, *, cluster: str, poll_interval: timedelta = timedelta(seconds=10), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster
        self.poll_interval = poll_interval

    def as_teardown(
        self,
        *,
        setups: BaseOperator | Iterable[BaseOperator] | None = None,
        on_failure_fail_dagrun: bool | None = None,
    ) -> StopClusterOperator:
        """Make this task the teardown of the start, with a trigger rule that runs it even if the start failed."""
        super().as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        self.trigger_rule = TriggerRule.ALL_DONE
        return self

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the cluster's name, whether it existed, and its cost in node-hours."""
        began = time.monotonic()
        with self.error_context(context):
            starter = self.partner(context, "cluster", StartClusterOperator)
            states = self._states_of_users(context)
            busy = sorted(task_id for task_id, state in states.items() if state not in _OVER)
            if busy:
                self.log.info("waiting for %s before the cluster is stopped", ", ".join(busy))
                self.reschedule(self.poll_interval)
            name, config = starter.name_and_config(context)
            with self.opened(context, name, config, self.site_of(context)) as cluster:
                deleted = cluster.delete()
        send_cluster(str(config["type"]), deleted.node_hours)
        self.log.info("cluster %s is stopped" if deleted.ended else "cluster %s does not exist", name)
        if len(deleted.ended) > 1:
            self.log.warning("%d clusters had this name, and all are stopped: %s", len(deleted.ended), deleted.ended)
        if states.get(self.cluster) == "skipped" and not deleted.ended:
            raise AirflowSkipException(f"cluster `{name}` was not started, because `{self.cluster}` was skipped")
        self._pass_on_failures(context, name)
        cost = {} if deleted.node_hours is None else {"node_hours": round(deleted.node_hours, 3)}
        result = {"name": name, "stopped": bool(deleted.ended), **cost}
        job = Job("stop_cluster", {}, self.run_of(context))
        RunHistory(job.run.storage).succeed(job, time.monotonic() - began, result)
        return result

    def _pass_on_failures(self, context: Context, name: str) -> None:
        """
        Fail if the success of this task would hide that the work before it has failed.

        As the last task of the DAG it would decide the state of the run, and tasks that wait only for it would run.
        """
        dag = context["dag"]
        work = {task_id for task_id in self.upstream_task_ids if not dag.task_dict[task_id].is_teardown}
        failed = _failed(context, {self.cluster, *_cluster_users(dag, self.cluster), *work})
        hidden = not self.downstream_task_ids or any(
            not failed & _upstream_of(dag, task_id, without=self.task_id) for task_id in self.downstream_task_ids
        )
        if failed and hidden:
            reason = listed(sorted(failed))
            raise AirflowFailException(f"cluster `{name}` is stopped; this run has failed because of {reason}")

    def _states_of_users(self, context: Context) -> dict[str, str | None]:
        """Return the states of the start and of the tasks that run on the cluster; mapped instances are separate."""
        return states_of(context, [self.cluster, *_cluster_users(context["dag"], self.cluster)])


def _failed(context: Context, task_ids: set[str]) -> set[str]:
    """Return the tasks that have failed. Mapped tasks are queried one by one, because Airflow returns other ids."""
    tasks = context["dag"].task_dict
    mapped = {
        task_id
        for task_id in task_ids
        if isinstance(tasks[task_id], MappedOperator) or tasks[task_id].get_closest_mapped_task_group() is not None
    }
    failed = {task_id for task_id, state in states_of(context, task_ids - mapped).items() if state in _FAILED}
    return failed | {task_id for task_id in mapped if not _FAILED.isdisjoint(states_of(context, [task_id]).values())}


def _upstream_of(dag: DAG, task_id: str, *, without: str) -> set[str]:
    """Return all upstream tasks of a task, without the paths through `without`."""
    upstream: set[str] = set()
    pending = [task_id]
    while pending:
        for parent in dag.task_dict[pending.pop()].upstream_task_ids - upstream - {without}:
            upstream.add(parent)
            pending.append(parent)
    return upstream


def _cluster_users(dag: DAG, cluster: str) -> list[str]:
    users = [task.task_id for task in dag.tasks if isinstance(task, ComputeOperator) and task.cluster == cluster]
    mapped = [
        task
        for task in dag.tasks
        if isinstance(task, MappedOperator) and issubclass(task.operator_class, ComputeOperator)
    ]
    return users + [task.task_id for task in mapped if task.partial_kwargs.get("cluster") == cluster]
