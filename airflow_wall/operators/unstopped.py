"""Releasing scores though the cluster that made them could not be stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_wall.operators.base import StepOperator, states_of
from airflow_wall.operators.stop_cluster import StopClusterOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReleasingOperator(StepOperator):
    """
    Base of the steps that begin to release what was made.

    With the trigger rule `all_done` such a task goes on where the only thing that failed before it is the stop of a
    cluster: the scores are good, and the reaper ends the cluster. Anything else that failed before it fails it, and
    anything that was skipped skips it, as `all_success` would. Who commits the release fails afterwards, by
    `fail_for`, so the run is red.
    """

    def unstopped(self, context: Context) -> tuple[str, ...]:
        """
        The tasks right before this one that did not stop their clusters.

        :raises AirflowFailException: another task before it failed.
        :raises AirflowSkipException: another task before it was skipped.
        """
        if self.trigger_rule != TriggerRule.ALL_DONE:
            return ()
        tasks = context["dag"].task_dict
        stops = {task_id for task_id in self.upstream_task_ids if isinstance(tasks[task_id], StopClusterOperator)}
        states = states_of(context, self.upstream_task_ids)
        left = sorted(task_id for task_id in stops if states.get(task_id) == "failed")
        direct = set(self.upstream_task_ids).difference(left)
        # Whether the work has been done that the cluster was for is told by what is before its stop, which always runs.
        states = states_of(context, direct.union(*(tasks[each].upstream_task_ids for each in stops)))
        failed = sorted(task_id for task_id, state in states.items() if state in ("failed", "upstream_failed"))
        if failed:
            raise AirflowFailException(f"nothing is released, because of {_listed(failed)}")
        skipped = sorted(task_id for task_id in direct if states.get(task_id) == "skipped")
        if skipped:
            raise AirflowSkipException(f"nothing is released: skipped, as {_listed(skipped)}")
        if left:
            self.log.error("%s did not stop the cluster; what was made is good, and is released", _listed(left))
        return tuple(left)


def left_by(context: Context, task: StepOperator) -> tuple[str, ...]:
    """The tasks right before `task` that did not stop their clusters, as far as it went on without them."""
    tasks = context["dag"].task_dict
    stops = [each for each in task.upstream_task_ids if isinstance(tasks[each], StopClusterOperator)]
    return tuple(sorted(task_id for task_id, state in states_of(context, stops).items() if state == "failed"))


def fail_for(left: tuple[str, ...], release: str) -> None:
    """
    Have the run be red, now that the release is out.

    :raises AirflowFailException: there is a cluster that was not stopped.
    """
    if left:
        raise AirflowFailException(
            f"release `{release}` is committed and clients see it; but {_listed(left)} did not stop the cluster"
            "\n\nhint: the reaper ends it now that the run is over, and its cloud when its time to live is; see why in "
            "the log of that task"
        )


def _listed(task_ids: Any) -> str:
    return ", ".join(f"`{task_id}`" for task_id in task_ids)
