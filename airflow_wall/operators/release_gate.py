"""Publish a release even if the cluster that computed it could not be stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.operators.base import StepOperator, states_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReleasingOperator(StepOperator):
    """
    Base of the steps that open a release.

    With the trigger rule `all_done` such a task runs if the only upstream failure is a task that stops a cluster: the
    scores are good, and the reaper ends the cluster. Any other upstream failure makes it fail, and a skipped upstream
    task skips it, as `all_success` does. The task that commits the release then fails with `fail_after_commit`, so the
    run fails.
    """

    checks_upstream: ClassVar[bool] = True

    def failed_stops(self, context: Context) -> tuple[str, ...]:
        """
        Return the direct upstream tasks that failed to stop their clusters.

        :raises AirflowFailException: another upstream task failed.
        :raises AirflowSkipException: another upstream task was skipped.
        """
        if self.trigger_rule != TriggerRule.ALL_DONE:
            return ()
        tasks = context["dag"].task_dict
        stops = set(_stops_before(context, self))
        states = states_of(context, self.upstream_task_ids)
        failed_stops = sorted(task_id for task_id in stops if states.get(task_id) == "failed")
        direct = set(self.upstream_task_ids).difference(failed_stops)
        # The tasks before a stop decide whether the work on the cluster succeeded, because the stop itself always runs.
        states = states_of(context, direct.union(*(tasks[task_id].upstream_task_ids for task_id in stops)))
        failed = sorted(task_id for task_id, state in states.items() if state in ("failed", "upstream_failed"))
        if failed:
            raise AirflowFailException(f"nothing is released, because of failed tasks: {listed(failed)}")
        skipped = sorted(task_id for task_id in direct if states.get(task_id) == "skipped")
        if skipped:
            raise AirflowSkipException(f"nothing is released, because of skipped tasks: {listed(skipped)}")
        if failed_stops:
            self.log.error("%s did not stop the cluster; its results are good and are released", listed(failed_stops))
        return tuple(failed_stops)


def failed_stops_before(context: Context, task: StepOperator) -> tuple[str, ...]:
    """Return the direct upstream tasks of `task` that failed to stop their clusters."""
    states = states_of(context, _stops_before(context, task))
    return tuple(sorted(task_id for task_id, state in states.items() if state == "failed"))


def _stops_before(context: Context, task: StepOperator) -> list[str]:
    tasks = context["dag"].task_dict
    return [task_id for task_id in task.upstream_task_ids if getattr(tasks[task_id], "stops_cluster", False)]


def fail_after_commit(failed_stops: tuple[str, ...], release: str) -> None:
    """
    Fail the task after its release is committed, if a cluster was not stopped.

    :raises AirflowFailException: `failed_stops` is not empty.
    """
    if failed_stops:
        raise AirflowFailException(
            f"release `{release}` is committed and clients see it; but {listed(failed_stops)} did not stop the "
            "cluster"
            "\n\nhint: read the log of that task; the reaper ends the cluster after the run, and its cloud ends it "
            "after `max_ttl`"
        )
