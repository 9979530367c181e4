"""`StopClusterOperator`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_wall.operators.base import PatientOperator, states_of
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.on_cluster import OnClusterOperator
from airflow_wall.operators.start_cluster import StartClusterOperator

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

_OVER = frozenset(("success", "failed", "skipped", "upstream_failed", "removed"))
_FAILED = frozenset(("failed", "upstream_failed"))


class StopClusterOperator(OnClusterOperator, PatientOperator):
    """
    Stop the cluster that a task of this run started, whatever happened in between.

    As a teardown it runs even if its setup, the start, has failed: a start that is killed may have left a cluster. It
    is tried thirteen times, within about half an hour, unless the task itself has other `retries`.

    It waits until no task that works on the cluster is under way: a teardown is started as soon as the tasks right
    before it are over, and those may have failed because of one branch while another still computes. No worker is held
    meanwhile.

    :param cluster: Id of the `StartClusterOperator` task.
    :param poll_interval: How long between two looks at the tasks under way.
    """

    ui_color = "#f4cccc"
    usual: ClassVar[Mapping[str, Any]] = {
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
        """Make it the teardown of the start, one that runs whatever became of it."""
        super().as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        self.trigger_rule = TriggerRule.ALL_DONE
        return self

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the name of the cluster, whether there was one, and what it cost in hours of one machine."""
        with self.told(context):
            starter = self.partner(context, "cluster", StartClusterOperator)
            states = self._states_of_users(context)
            busy = sorted(task_id for task_id, state in states.items() if state not in _OVER)
            if busy:
                self.log.info("the cluster is stopped when %s is over; looking again", ", ".join(busy))
                self.look_again(self.poll_interval)
            name, config = starter.name_and_config(context)
            with self.opened(context, name, config, self.site_of(context)) as cluster:
                deleted = cluster.delete()
        self.log.info("cluster %s is stopped" if deleted.ended else "there was no cluster %s", name)
        if len(deleted.ended) > 1:
            self.log.warning("%d clusters bore the name, and all are ended: %s", len(deleted.ended), deleted.ended)
        if states.get(self.cluster) == "skipped" and not deleted.ended:
            raise AirflowSkipException(f"cluster `{name}` was not wanted")
        self._pass_on_failures(context, name)
        cost = {} if deleted.node_hours is None else {"node_hours": round(deleted.node_hours, 3)}
        return {"name": name, "stopped": bool(deleted.ended), **cost}

    def _pass_on_failures(self, context: Context, name: str) -> None:
        """
        Fail where this task would hide that the work before it has failed, as it runs whatever happened.

        As the last of the DAG its colour would be the run's; and what waits only for it would go on.
        """
        dag = context["dag"]
        work = {each for each in self.upstream_task_ids if not dag.task_dict[each].is_teardown}
        failed = _failed(context, {self.cluster, *_users(dag, self.cluster), *work})
        hidden = not self.downstream_task_ids or any(
            not failed & _before(dag, each, without=self.task_id) for each in self.downstream_task_ids
        )
        if failed and hidden:
            listed = ", ".join(f"`{task_id}`" for task_id in sorted(failed))
            raise AirflowFailException(f"cluster `{name}` is stopped; this run has failed because of {listed}")

    def _states_of_users(self, context: Context) -> dict[str, str | None]:
        """The states of the start and of the tasks that work on the cluster, of a mapped one each by itself."""
        return states_of(context, [self.cluster, *_users(context["dag"], self.cluster)])


def _failed(context: Context, task_ids: set[str]) -> set[str]:
    """Which of these tasks have failed. Of mapped ones, which Airflow lists by other names, each is asked for alone."""
    tasks = context["dag"].task_dict
    mapped = {
        each
        for each in task_ids
        if isinstance(tasks[each], MappedOperator) or tasks[each].get_closest_mapped_task_group() is not None
    }
    failed = {task_id for task_id, state in states_of(context, task_ids - mapped).items() if state in _FAILED}
    return failed | {each for each in mapped if not _FAILED.isdisjoint(states_of(context, [each]).values())}


def _before(dag: DAG, task_id: str, *, without: str) -> set[str]:
    """All tasks that a task waits for, otherwise than through that one."""
    found: set[str] = set()
    left = [task_id]
    while left:
        for each in dag.task_dict[left.pop()].upstream_task_ids - found - {without}:
            found.add(each)
            left.append(each)
    return found


def _users(dag: DAG, cluster: str) -> list[str]:
    users = [task.task_id for task in dag.tasks if isinstance(task, ComputeOperator) and task.cluster == cluster]
    mapped = [
        task
        for task in dag.tasks
        if isinstance(task, MappedOperator) and issubclass(task.operator_class, ComputeOperator)
    ]
    return users + [task.task_id for task in mapped if task.partial_kwargs.get("cluster") == cluster]
