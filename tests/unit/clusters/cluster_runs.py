"""
Run start, work and stop with the real operators, as Airflow does, against a cloud in memory.

What Airflow does is written down from its source: tries and their ends, that a task is `upstream_failed` after a failed
one, that a teardown with `all_done` always runs, and that such a last one alone decides the colour of the run.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException, TaskDeferred
from fake_clouds import FakeCloud, Killed

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import ClusterSite, Owner
from airflow_wall.lake.lake import Lake
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.compute import ComputeOperator
from airflow_wall.operators.reap_clusters import ReapClustersOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.operators.stop_cluster import StopClusterOperator
from airflow_wall.triggers.cluster import ClusterTrigger

CONFIGS: dict[str, dict[str, Any]] = {
    "emr": {"type": "emr", "region": "eu-central-1", "image": "emr-7.9.0", "max_ttl": "PT6H"},
    "dataproc": {"type": "dataproc", "region": "europe-west1", "image": "2.3-debian12", "max_ttl": "PT6H"},
}


class Work(ComputeOperator):
    """A step that computes on the cluster."""

    def execute(self, context: Any) -> dict[str, Any]:
        return self.compute(context, "transform", sql="select 1")


class Run:
    """
    One run of a pipeline with a cluster.

    :param kind: `emr` or `dataproc`.
    :param lake: A folder.
    """

    def __init__(
        self,
        kind: str,
        cloud: FakeCloud,
        lake: Path,
        patch: Any,
        run_id: str = "scheduled__1",
        deferrable: bool = False,
    ) -> None:
        self.cloud = cloud
        self.run_id = run_id
        self.states: dict[str, str | None] = dict.fromkeys(("start", "work", "stop"))
        self.tries = dict.fromkeys(self.states, 0)
        self.results: dict[str, Any] = {}
        self.errors: list[str] = []
        self.run_state: str | None = "running"
        self.airflow_answers = True
        with DAG("scores", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
            start = StartClusterOperator(task_id="start", cluster=CONFIGS[kind], retries=2, deferrable=deferrable)
            work = Work(task_id="work", cluster="start", retries=2, deferrable=deferrable)
            stop = StopClusterOperator(task_id="stop", cluster="start", deferrable=deferrable)
            start >> work >> stop.as_teardown(setups=start, on_failure_fail_dagrun=True)
            self.reaper = ReapClustersOperator(task_id="reap", clusters=[CONFIGS[kind]])
        self.dag = dag
        site = ClusterSite(Lake(lake), Owner("test", "scores", run_id), lambda kind, config: cloud, cloud.clock)
        patch.setattr(StepOperator, "site_of", lambda self, context: site)
        patch.setattr("airflow_wall.operators.base.die_with_parent", lambda: None)
        self.site = site
        self.waits = 0
        self.xcoms: dict[tuple[str, str], Any] = {}
        patch.setattr(ClusterTrigger, "clock", cloud.clock)
        patch.setattr(ClusterTrigger, "sleep", self._sleep)

    def context(self, task_id: str) -> Any:
        ti = SimpleNamespace(
            dag_id="scores",
            run_id=self.run_id,
            task_id=task_id,
            map_index=-1,
            try_number=self.tries.get(task_id, 1),
            xcom_push=lambda key, value: self.xcoms.__setitem__((task_id, key), value),
            get_task_states=lambda dag_id, task_ids, run_ids: {self.run_id: {k: self.states[k] for k in task_ids}},
            get_dagrun_state=self._asked,
            get_dr_count=lambda dag_id, run_ids: self._asked() is not None,
        )
        dag_run = SimpleNamespace(logical_date=datetime(2026, 1, 1).astimezone(), run_id=self.run_id)
        return {"ti": ti, "dag": self.dag, "dag_run": dag_run}

    def _asked(self, dag_id: str = "scores", run_id: str = "scheduled__1") -> str | None:
        if not self.airflow_answers:
            raise RuntimeError("API_SERVER_ERROR")
        return self.run_state

    def once(self, task_id: str) -> str | None:
        """One try of a task. Return its final state, None if there may be another."""
        task = self.dag.task_dict[task_id]
        self.tries[task_id] += 1
        self.cloud.faults.is_dead = False
        try:
            self.results[task_id] = self._executed(task_id)
        except AirflowSkipException:
            return "skipped"
        except AirflowFailException as error:
            self.errors.append(f"{task_id}: {error}")
            return "failed"
        except AirflowRescheduleException:
            self.tries[task_id] -= 1
        except (Killed, Exception) as error:
            self.errors.append(f"{task_id}: {error!r}")
            return "failed" if self.tries[task_id] > task.retries else None
        else:
            return "success"
        finally:
            self.cloud.faults.is_dead = False
        return None

    def _executed(self, task_id: str) -> Any:
        """Return the result of a task, with the triggerer's waits in between. Each execution is a separate process."""
        context = self.context(task_id)
        call: Callable[[Any], Any] = functools.partial(executed, context=context)
        while True:
            task = copy.copy(self.dag.task_dict[task_id])
            try:
                return contextvars.copy_context().run(call, task)
            except TaskDeferred as deferred:
                self.waits += 1
                kwargs = {**json.loads(json.dumps(deferred.kwargs)), "event": {}}
                self._triggered(deferred.trigger)
                call = functools.partial(resumed, method_name=deferred.method_name, kwargs=kwargs, context=context)

    def _triggered(self, trigger_event: Any) -> None:
        """Run the triggerer in a separate process. A killed one is replaced by another."""
        _, arguments = trigger_event.serialize()
        while True:
            trigger = ClusterTrigger(**json.loads(json.dumps(arguments)))
            vars(trigger)["_cluster"] = open_cluster(trigger.name, trigger.config, self.site)
            self.cloud.faults.is_dead = False
            try:
                asyncio.run(first(trigger.run()))
            except Killed:
                continue
            return

    async def _sleep(self, seconds: float) -> None:
        self.cloud.clock.sleep(seconds)

    def task(self, task_id: str, before: str | None) -> None:
        """Run all tries of a task, if its upstream tasks let it run."""
        if before is not None and self.states[before] != "success":
            self.states[task_id] = "upstream_failed"
            return
        self.states[task_id] = "running"
        while (state := self.once(task_id)) is None:
            self.cloud.clock.sleep(30)
        self.states[task_id] = state

    def go(self, *, stopped: bool = True) -> None:
        """Run all tasks. `stopped` is False if Airflow skips the stop, as with `dagrun_timeout`."""
        self.task("start", None)
        self.task("work", "start")
        if stopped:
            self.task("stop", None)
        self.run_state = "success" if self.states["stop"] == "success" else "failed"

    def reap(self) -> Any:
        """Run the reaper, with one retry."""
        for _ in range(3):
            try:
                self.cloud.faults.is_dead = False
                return executed(self.reaper, self.context("reap"))
            except (Killed, Exception) as error:
                self.errors.append(f"reap: {error!r}")
        return None


async def first(events: AsyncIterator[Any]) -> Any:
    return await anext(events)


def resumed(task: Any, method_name: str, kwargs: dict[str, Any], context: Any) -> Any:
    """The fields of a deferred task whose trigger has fired, as the task runner passes them."""
    ExecutorSafeguard.tracker.set(task)
    return task.resume_execution(method_name, kwargs, context)


def executed(task: Any, context: Any) -> Any:
    """A task as the task runner executes it, without its guard against direct calls."""
    execute = type(task).execute
    return getattr(execute, "__wrapped__", execute)(task, context)
