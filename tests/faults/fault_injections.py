"""The faults: of a whole Airflow, one of its processes, a run or the cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import emr_server
import psutil
from lab import Lab, Trial, send

Hit = Callable[[Lab, list[Trial]], None]


@dataclass(frozen=True)
class Injection:
    """
    A fault.

    :param words: What it is, for the table.
    :param hit: Does it to the trials.
    :param lasts: Seconds until it is repaired.
    :param repair: Ends it.
    :param whole: Whether all of Airflow is hit: nothing else may run beside it.
    :param marked: Whether somebody says by it that the run has failed.
    :param holds: Seconds after the hit at which the run is let go on; None: never.
    :param lease: Whether the run does not end, so that its cluster may live until its lease ends.
    """

    words: str
    hit: Hit
    lasts: float = 0.0
    repair: Hit | None = None
    whole: bool = False
    marked: bool = False
    holds: float | None = 0.0
    lease: bool = False


def nothing(lab: Lab, trials: list[Trial]) -> None:
    """Do nothing: the fault is in the pipeline itself."""


# --- processes of tasks


def to_task(number: signal.Signals) -> Hit:
    """A signal to the process of the task."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            send(trial.process(), number)

    return hit


def to_supervisor(number: signal.Signals) -> Hit:
    """A signal to who watches the task."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            parent = trial.process().parent()
            assert parent is not None
            send(parent, number)

    return hit


def lose_node(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to the task, who watches it, and what it started."""
    for trial in trials:
        for each in _family(trial):
            send(each, signal.SIGKILL)


def kill_each_try(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to the task, and to its retry as soon as there is one."""
    for trial in trials:
        send(trial.process(), signal.SIGKILL)
        again = lambda trial=trial: trial.tasks[trial.task].tries == 2 and trial.tasks[trial.task].state == "running"  # noqa: E731
        lab.until(again, 120, f"{trial.dag}: no second try")
        send(trial.process(), signal.SIGKILL)


def _family(trial: Trial) -> list[psutil.Process]:
    task = trial.process()
    parent = task.parent()
    assert parent is not None
    return [parent, task, *task.children(recursive=True)]


def freeze(lab: Lab, trials: list[Trial]) -> None:
    """SIGSTOP to the task, who watches it, and what it started: a machine that is paused."""
    for trial in trials:
        family = _family(trial)
        FROZEN[trial.dag] = family
        for each in family:
            send(each, signal.SIGSTOP)


def thaw(lab: Lab, trials: list[Trial]) -> None:
    """SIGCONT to them."""
    for trial in trials:
        for each in FROZEN.pop(trial.dag, []):
            send(each, signal.SIGCONT)


def thaw_job_first(lab: Lab, trials: list[Trial]) -> None:
    """SIGCONT to what the task started, and five seconds later to the others."""
    for trial in trials:
        supervisor, task, *children = FROZEN.pop(trial.dag)
        for each in children:
            send(each, signal.SIGCONT)
        time.sleep(5)
        send(task, signal.SIGCONT)
        send(supervisor, signal.SIGCONT)


FROZEN: dict[str, list[psutil.Process]] = {}


def kill_job(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to what computes."""
    for trial in trials:
        for pid in trial.jobs():
            os.kill(pid, signal.SIGKILL)


# --- components


def component(name: str, number: signal.Signals, *, tree: bool) -> Hit:
    """A signal to a component."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        lab.stack.signal(name, number, tree=tree)

    return hit


def hold_down(*names: str) -> Hit:
    """SIGKILL to components, which do not come back yet."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        lab.stack.held.update(names)
        for name in names:
            lab.stack.signal(name, signal.SIGKILL, tree=True)

    return hit


def let_come_back(lab: Lab, trials: list[Trial]) -> None:
    """Start them again."""
    lab.stack.held.clear()


def crash_postgres(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to Postgres and all of its processes."""
    lab.stack.postgres.kill()


def start_postgres(lab: Lab, trials: list[Trial]) -> None:
    """Start it again."""
    lab.stack.postgres.start()


def _of_postgres(lab: Lab, number: signal.Signals) -> None:
    first = psutil.Process(lab.stack.postgres.process.pid)
    for each in [first, *first.children(recursive=True)]:
        send(each, number)


def freeze_postgres(lab: Lab, trials: list[Trial]) -> None:
    """SIGSTOP to all processes of Postgres."""
    _of_postgres(lab, signal.SIGSTOP)


def thaw_postgres(lab: Lab, trials: list[Trial]) -> None:
    """SIGCONT to them."""
    _of_postgres(lab, signal.SIGCONT)


def kill_everything(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to all of Airflow, Postgres, and Redis where it is."""
    lab.stack.held.update(lab.stack.components)
    for name in lab.stack.components:
        lab.stack.signal(name, signal.SIGKILL, tree=True)
    for pid in lab.stack.strays():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    lab.stack.postgres.kill()
    if lab.stack.redis:
        lab.stack.redis.kill()


def start_everything(lab: Lab, trials: list[Trial]) -> None:
    """Start everything again."""
    lab.stack.postgres.start()
    if lab.stack.redis:
        lab.stack.redis.start()
    lab.stack.held.clear()


def crash_redis(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to Redis, which keeps nothing."""
    assert lab.stack.redis
    lab.stack.redis.kill()


def start_redis(lab: Lab, trials: list[Trial]) -> None:
    """Start it again, empty."""
    assert lab.stack.redis
    lab.stack.redis.start()


# --- workers of Celery


def _worker(lab: Lab, trial: Trial) -> str:
    pids = {each.pid for each in trial.process().parents()}
    return next(name for name in lab.stack.components if lab.stack.processes[name].pid in pids)


def to_worker(number: signal.Signals, *, tree: bool) -> Hit:
    """A signal to the worker that has the task."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for name in {_worker(lab, trial) for trial in trials}:
            lab.stack.signal(name, number, tree=tree)

    return hit


def freeze_worker(lab: Lab, trials: list[Trial]) -> None:
    """SIGSTOP to all processes of the worker that has the task."""
    for trial in trials:
        FROZEN[trial.dag] = lab.stack.tree(_worker(lab, trial))
    for trial in trials:
        for each in FROZEN[trial.dag]:
            send(each, signal.SIGSTOP)


# --- runs and their files


def mark_run(state: str) -> Hit:
    """Say by the REST API how the run has ended."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            _patch(lab, trial, "", {"state": state})

    return hit


def mark_task(state: str) -> Hit:
    """Say by the REST API how the task has ended."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            _patch(lab, trial, f"/taskInstances/{trial.task}", {"new_state": state})

    return hit


def _patch(lab: Lab, trial: Trial, path: str, body: dict[str, object]) -> None:
    assert trial.run is not None
    answer = lab.stack.client.patch(f"/dags/{trial.dag}/dagRuns/{trial.run.run_id}{path}", json=body)
    assert answer.is_success, answer.text


def clear_task(lab: Lab, trials: list[Trial]) -> None:
    """Clear the task by the REST API while it runs."""
    for trial in trials:
        assert trial.run is not None
        body = {"dry_run": False, "dag_run_id": trial.run.run_id, "task_ids": [trial.task], "only_failed": False}
        answer = lab.stack.client.post(f"/dags/{trial.dag}/clearTaskInstances", json=body)
        assert answer.is_success, answer.text


def delete_run(lab: Lab, trials: list[Trial]) -> None:
    """Mark the run failed, and delete it at once."""
    for trial in trials:
        _patch(lab, trial, "", {"state": "failed"})
        assert trial.run is not None
        run = f"/dags/{trial.dag}/dagRuns/{trial.run.run_id}"
        lab.until(lambda run=run: lab.stack.client.delete(run).is_success, 30, f"{trial.dag} could not be deleted")


def pause(lab: Lab, trials: list[Trial]) -> None:
    """Pause the DAG; its clusters are near the end of their lease."""
    for trial in trials:
        lab.stack.client.patch(f"/dags/{trial.dag}", json={"is_paused": True}).raise_for_status()
        _near_lease(lab, trial)


def unpause(lab: Lab, trials: list[Trial]) -> None:
    """Unpause the DAG."""
    for trial in trials:
        lab.stack.client.patch(f"/dags/{trial.dag}", json={"is_paused": False}).raise_for_status()


def _near_lease(lab: Lab, trial: Trial) -> None:
    lab.clouds.kinds[trial.kind].age(trial.dag, 600 - LEASE)


LEASE = 30.0
"""Seconds from the injection to the end of the lease, for runs that do not end."""


def remove_file(lab: Lab, trials: list[Trial]) -> None:
    """Remove the file of the DAG; its clusters are near the end of their lease."""
    for trial in trials:
        _near_lease(lab, trial)
        trial.source.rename(trial.source.with_suffix(".gone"))


def restore_file(lab: Lab, trials: list[Trial]) -> None:
    """Restore the file."""
    for trial in trials:
        trial.source.with_suffix(".gone").rename(trial.source)


def edit(change: Callable[[Trial], str]) -> Hit:
    """Replace the text of the DAG's file, and wait until Airflow has parsed it."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            trial.source.write_text(change(trial))
            lab.until(lambda trial=trial: _is_known(lab, trial), 90, f"{trial.dag}: the edit was not seen")

    return hit


def _is_known(lab: Lab, trial: Trial) -> bool:
    errors = "".join(lab.stack.errors_of("pipelines"))
    return trial.dag in errors or "stop_cluster" not in lab.stack.edges(trial.dag)[0]


def without_stop(trial: Trial) -> str:
    """The pipeline without its stop."""
    text = trial.source.read_text()
    if trial.control:
        return text.replace('"stop": true', '"stop": false')
    made = json.loads(trial.text())
    made["tasks"] = [task for task in made["tasks"] if task["id"] != "stop_cluster"]
    return json.dumps(made)


def without_cluster(trial: Trial) -> str:
    """The pipeline computing in the worker: neither start nor stop."""
    made = json.loads(trial.text())
    (work,) = [task for task in made["tasks"] if task["id"] == "work"]
    del work["with"]["cluster"], work["needs"]
    made["tasks"] = [work]
    return json.dumps(made)


def broken(trial: Trial) -> str:
    """A file with a fault."""
    return trial.source.read_text().replace('"stop_cluster",', '"stop_clustre",')


# --- the cloud


def refusing(how: str, *steps: str) -> Hit:
    """Make calls of these steps fail, all calls without a step; `how` is a method of the cloud."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            made = getattr(lab.clouds.kinds[trial.kind], how)
            lab.clouds.director.refusals[trial.dag] = lambda moment, made=made: (
                made() if not steps or moment.partition(".")[0] in steps else None
            )

    return hit


def to_watchdog(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to the watchdog of Spark's cluster."""
    for watchdog in _watchdogs(lab, trials):
        send(watchdog, signal.SIGKILL)


def to_java(lab: Lab, trials: list[Trial]) -> None:
    """SIGKILL to master and worker of Spark's cluster."""
    for watchdog in _watchdogs(lab, trials):
        for each in watchdog.children():
            send(each, signal.SIGKILL)


def _watchdogs(lab: Lab, trials: list[Trial]) -> list[psutil.Process]:
    """Return the processes that guard a cluster. If several are started for one, all but one end at once."""
    spans = [span for trial in trials for span in lab.clouds.kinds["spark"].spans(trial.dag)]
    return [psutil.Process(int(span.id)) for span in spans if span.gone is None]


def accept(lab: Lab, trials: list[Trial]) -> None:
    """Let calls succeed again."""
    for trial in trials:
        lab.clouds.director.refusals.pop(trial.dag, None)


def lose_answer(late: float) -> Hit:
    """Lose the response of the held call, and list the cluster late."""

    def hit(lab: Lab, trials: list[Trial]) -> None:
        for trial in trials:
            lab.clouds.director.late[trial.dag] = late
            lab.clouds.director.losing.add((trial.dag, trial.at))

    return hit


def lose_cluster(lab: Lab, trials: list[Trial]) -> None:
    """Let the cloud end the cluster: it takes its spot machines back."""
    from moto.emr.models import emr_backends

    for trial in trials:
        for span in lab.clouds.kinds[trial.kind].spans(trial.dag):
            emr_backends[emr_server.ACCOUNT]["us-east-1"].clusters[span.id].terminate()


def wait(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)
