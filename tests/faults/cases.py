"""Every fault, at every step: one table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM

import fault_injections as b
from fault_injections import Injection
from pipelines import Shape

KILL_TASK = Injection("SIGKILL to the task", b.to_task(SIGKILL))
TERM_TASK = Injection("SIGTERM to the task", b.to_task(SIGTERM), holds=8)
KILL_SUPERVISOR = Injection("SIGKILL to the task's supervisor", b.to_supervisor(SIGKILL), holds=8)
TERM_SUPERVISOR = Injection("SIGTERM to the task's supervisor", b.to_supervisor(SIGTERM), holds=8)
LOSE_NODE = Injection("SIGKILL to task, supervisor and children", b.lose_node, holds=2)
MARK_FAILED = Injection("run marked failed", b.mark_run("failed"), marked=True, holds=5)
KILL_TWICE = Injection("SIGKILL to the task, and to its retry", b.kill_each_try)

ALL_STEPS = ("start.waiting", "job", "stop.before")
"""Moments at which a fault of all of Airflow meets several runs at once."""


@dataclass(frozen=True)
class Case:
    """
    One fault at the steps that it meets: a run for each step and kind of cluster.

    :param name: Begins the ids of the DAGs.
    :param control: Whether a DAG of Airflow's own parts is hit beside ours.
    :param colour: As what the runs must end, where only one is honest.
    """

    name: str
    injection: Injection
    at: tuple[str, ...]
    kinds: tuple[str, ...] = ("emr",)
    shape: Shape = field(default_factory=Shape)
    control: bool = False
    colour: str | None = "success"
    executors: tuple[str, ...] = ("local",)


BOTH = ("local", "celery")
ONLY_CELERY = ("celery",)
CLOUDS = ("emr", "dataproc")
NO_RETRY = Shape(retries=0)
IN_WORKER = Shape(deferrable=False)
"""The task itself waits, so there is a process of it to hit."""

LATE = Shape(head={"dagrun_timeout": "80s"})
"""Time enough to come to the moment of the injection."""

CASES = (
    # --- the process of a task
    Case("kill_start_before", KILL_TASK, ("start.before",), CLOUDS, executors=BOTH),
    Case("kill_start_after", KILL_TASK, ("start.after",), CLOUDS, control=True, executors=BOTH),
    Case("kill_start_last", KILL_TASK, ("start.after",), CLOUDS, NO_RETRY, control=True, colour="failed"),
    Case("kill_start_waiting", KILL_TASK, ("start.waiting",), ("emr", "dataproc", "spark"), IN_WORKER),
    Case("kill_start_twice", KILL_TWICE, ("start.after",), colour="failed"),
    Case("kill_submit_before", KILL_TASK, ("submit.before",), CLOUDS),
    Case("kill_submit_after", KILL_TASK, ("submit.after",), CLOUDS),
    Case("kill_job", KILL_TASK, ("job",), ("emr", "dataproc", "local", "spark"), IN_WORKER, executors=BOTH),
    Case("kill_job_last", KILL_TASK, ("job",), shape=Shape(retries=0, deferrable=False), colour="failed"),
    Case("kill_stop_before", KILL_TASK, ("stop.before",), CLOUDS, control=True, executors=BOTH),
    Case("kill_stop_after", KILL_TASK, ("stop.after",), CLOUDS),
    Case("term_start_waiting", TERM_TASK, ("start.waiting",), shape=IN_WORKER),
    Case("term_job", TERM_TASK, ("job",), ("emr", "local", "spark"), IN_WORKER, executors=BOTH),
    Case("term_stop", TERM_TASK, ("stop.before",)),
    Case("kill_super_start", KILL_SUPERVISOR, ("start.waiting",), shape=IN_WORKER),
    Case("kill_super_job", KILL_SUPERVISOR, ("job",), ("emr", "local", "spark"), IN_WORKER),
    Case("kill_super_stop", KILL_SUPERVISOR, ("stop.before",)),
    Case("term_super_job", TERM_SUPERVISOR, ("job",), ("emr",), IN_WORKER),
    Case("node_start", LOSE_NODE, ("start.after",), control=True, shape=NO_RETRY, colour="failed"),
    Case("node_job", LOSE_NODE, ("job",), ("emr", "local", "spark"), IN_WORKER),
    Case("node_stop", LOSE_NODE, ("stop.after",)),
    Case(
        "freeze_job",
        Injection("task frozen for 60 s", b.freeze, 60, b.thaw, holds=55),
        ("job",),
        ("emr", "local", "spark"),
        IN_WORKER,
    ),
    Case(
        "freeze_start",
        Injection("task frozen for 60 s", b.freeze, 60, b.thaw, holds=20),
        ("start.waiting",),
        shape=IN_WORKER,
    ),
    Case(
        "thaw_job_first",
        Injection("task frozen for 60 s, its job 5 s less", b.freeze, 60, b.thaw_job_first, holds=55),
        ("job",),
        ("local",),
    ),
    Case("kill_the_job", Injection("SIGKILL to the job itself", b.kill_job), ("job",), CLOUDS),
    # --- what people do
    Case(
        "failed_in_start", MARK_FAILED, ("start.waiting",), ("emr", "dataproc", "spark"), control=False, colour="failed"
    ),
    Case("failed_in_call", MARK_FAILED, ("start.after",), CLOUDS, control=True, colour="failed"),
    Case("failed_in_work", MARK_FAILED, ("job",), shape=IN_WORKER, colour="failed"),
    Case("failed_in_job", MARK_FAILED, ("job",), ("emr", "local", "spark"), colour="failed", executors=BOTH),
    Case("failed_in_stop", MARK_FAILED, ("stop.before",), colour=None),  # by then all is done
    Case(
        "green_in_job",
        Injection("run marked successful", b.mark_run("success"), marked=True, holds=5),
        ("job",),
        colour=None,
    ),
    Case(
        "task_failed",
        Injection("task marked failed", b.mark_task("failed"), marked=True, holds=5),
        ("job",),
        colour=None,
    ),
    Case(
        "task_cleared",
        Injection("task cleared while it runs", b.clear_task, holds=10),
        ("job",),
        ("emr", "local", "spark"),
    ),
    Case(
        "deleted",
        Injection("run marked failed and deleted", b.delete_run, marked=True, holds=5),
        ("job",),
        colour="deleted",
    ),
    Case(
        "paused",
        Injection("DAG paused until its lease ends", b.pause, repair=b.unpause, lease=True),
        ("job",),
        CLOUDS,
        control=True,
        colour=None,  # its cluster ends under it
    ),
    Case(
        "file_removed",
        Injection("DAG's file removed until its lease ends", b.remove_file, repair=b.restore_file, lease=True),
        ("job",),
        control=True,
        colour=None,  # its cluster ends under it
    ),
    Case(
        "stop_edited_out",
        Injection("stop edited out of the file", b.edit(b.without_stop), marked=True),
        ("job",),
        control=True,
        colour=None,
    ),
    Case("file_broken", Injection("file edited to a broken one", b.edit(b.broken)), ("job",)),
    # --- times
    Case(
        "execution_timeout",
        Injection("`execution_timeout` of the work", b.nothing, holds=None),
        ("job",),
        ("emr", "local"),
        Shape(retries=0, work={"execution_timeout": "10s"}),
        colour="failed",
    ),
    Case(
        "execution_timeout_spark",
        Injection("`execution_timeout` of the work", b.nothing, holds=None),
        ("job",),
        ("spark",),
        Shape(retries=0, work={"execution_timeout": "90s"}),  # beginning on Spark takes longer than 10 s
        colour="failed",
    ),
    Case(
        "run_timeout",
        Injection("`dagrun_timeout`", b.nothing, holds=None),
        ("start.waiting", "job"),
        ("emr", "local", "spark"),
        LATE,
        control=True,
        colour="failed",
    ),
    Case(
        "run_timeout_worker",
        Injection("`dagrun_timeout`, the task itself waits", b.nothing, holds=None),
        ("job",),
        shape=replace(LATE, deferrable=False),
        colour="failed",
    ),
    Case(
        "sibling_fails",
        Injection("one task fails while another works for 60 s", b.nothing, holds=60),
        ("job",),
        CLOUDS,
        Shape(sibling=True),
        colour="failed",
        executors=BOTH,
    ),
    # --- the cloud
    Case(
        "cloud_out_stop",
        Injection("cloud out of order for 40 s", b.refusing("out_of_order"), 40, b.accept),
        ("stop.before",),
        CLOUDS,
        control=True,
    ),
    Case(
        "cloud_out_job",
        Injection("cloud out of order for 40 s", b.refusing("out_of_order"), 40, b.accept, holds=20),
        ("job",),
        CLOUDS,
    ),
    Case(
        "cloud_out_start",
        Injection("cloud out of order for 20 s", b.refusing("out_of_order", "start"), 20, b.accept),
        ("start.before",),
        CLOUDS,
        colour=None,
    ),
    Case(
        "lost_create", Injection("answer lost, listed 20 s late", b.lose_answer(20)), ("start.after",), executors=BOTH
    ),
    Case("lost_submit", Injection("answer lost", b.lose_answer(0)), ("submit.after",), CLOUDS),
    Case("lost_stop", Injection("answer lost", b.lose_answer(0)), ("stop.after",), CLOUDS),
    Case(
        "quota",
        Injection("quota exceeded for good", b.refusing("quota", "start")),
        ("start.before",),
        CLOUDS,
        colour="failed",
    ),
    Case(
        "denied",
        Injection("permission lost for 60 s", b.refusing("denied"), 60, b.accept, holds=5),
        ("job",),
        CLOUDS,
        colour="failed",
    ),
    Case("cluster_lost", Injection("cluster ended by the cloud", b.lose_cluster), ("job",), colour="failed"),
    Case(
        "spark_watchdog",
        Injection("SIGKILL to the watchdog of the cluster", b.to_watchdog),
        ("job",),
        ("spark",),
        colour=None,
    ),
    Case("spark_java", Injection("SIGKILL to master and worker", b.to_java), ("job",), ("spark",), colour=None),
    # --- all of Airflow
    Case(
        "scheduler_killed",
        Injection("SIGKILL to the scheduler alone", b.component("scheduler", SIGKILL, tree=False), whole=True, holds=8),
        ALL_STEPS,
        executors=BOTH,
    ),
    Case(
        "scheduler_tree",
        Injection("SIGKILL to the scheduler with children", b.component("scheduler", SIGKILL, tree=True), whole=True),
        ALL_STEPS,
    ),
    Case(
        "scheduler_term",
        Injection("SIGTERM to the scheduler", b.component("scheduler", SIGTERM, tree=False), whole=True, holds=5),
        ALL_STEPS,
    ),
    Case(
        "scheduler_frozen",
        Injection(
            "scheduler frozen for 40 s",
            b.component("scheduler", SIGSTOP, tree=False),
            40,
            b.component("scheduler", SIGCONT, tree=False),
            whole=True,
        ),
        ("job",),
    ),
    Case(
        "triggerer_killed",
        Injection("SIGKILL to the triggerer", b.component("triggerer", SIGKILL, tree=True), whole=True, holds=5),
        ("start.waiting", "job"),
        CLOUDS,
        executors=BOTH,
    ),
    Case(
        "triggerer_down",
        Injection("triggerer down for 60 s", b.hold_down("triggerer"), 60, b.let_come_back, whole=True, holds=5),
        ("start.waiting", "job"),
    ),
    Case(
        "triggerer_frozen",
        Injection(
            "triggerer frozen for 40 s",
            b.component("triggerer", SIGSTOP, tree=True),
            40,
            b.component("triggerer", SIGCONT, tree=True),
            whole=True,
        ),
        ("job",),
    ),
    Case(
        "processor_killed",
        Injection("SIGKILL to the DAG processor", b.component("dag-processor", SIGKILL, tree=True), whole=True),
        ("job",),
    ),
    Case(
        "api_down_20",
        Injection("API server down for 20 s", b.hold_down("api-server"), 20, b.let_come_back, whole=True),
        ALL_STEPS,
        executors=BOTH,
    ),
    Case(
        "api_down_90",
        Injection("API server down for 90 s", b.hold_down("api-server"), 90, b.let_come_back, whole=True),
        ALL_STEPS,
        control=True,
    ),
    Case(
        "postgres_crash",
        Injection("Postgres killed, back after 5 s", b.crash_postgres, 5, b.start_postgres, whole=True, holds=5),
        ALL_STEPS,
        executors=BOTH,
    ),
    Case(
        "postgres_frozen",
        Injection("Postgres frozen for 20 s", b.freeze_postgres, 20, b.thaw_postgres, whole=True),
        ("job",),
    ),
    Case(
        "everything_spark",
        Injection("SIGKILL to everything, back after 15 s", b.kill_everything, 15, b.start_everything, whole=True),
        ("job",),
        ("spark",),
        executors=BOTH,
    ),
    Case(
        "everything",
        Injection("SIGKILL to everything, back after 15 s", b.kill_everything, 15, b.start_everything, whole=True),
        ALL_STEPS,
        executors=BOTH,
    ),
    # --- Celery
    Case(
        "pool_child",
        Injection("SIGKILL to the pool's child", b.to_supervisor(SIGKILL), holds=8),
        ("start.waiting", "job"),
        ("emr", "local"),
        IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_lost",
        Injection("SIGKILL to the worker with children", b.to_worker(SIGKILL, tree=True), whole=True, holds=2),
        ("start.after",),
        control=True,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_lost_job",
        Injection("SIGKILL to the worker with children", b.to_worker(SIGKILL, tree=True), whole=True, holds=2),
        ("job", "stop.after"),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_main",
        Injection("SIGKILL to the worker's main process", b.to_worker(SIGKILL, tree=False), whole=True, holds=30),
        ("job",),
        ("emr", "local", "spark"),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_warm",
        Injection("SIGTERM to the worker (warm)", b.to_worker(SIGTERM, tree=False), whole=True, holds=15),
        ("job",),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_cold",
        Injection("SIGQUIT to the worker (cold)", b.to_worker(SIGQUIT, tree=False), whole=True, holds=15),
        ("job",),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_term_all",
        Injection("SIGTERM to every process of the worker", b.to_worker(SIGTERM, tree=True), whole=True, holds=15),
        ("job",),
        ("emr", "local"),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "worker_frozen",
        Injection("worker frozen for 60 s", b.freeze_worker, 60, b.thaw, whole=True, holds=40),
        ("job", "start.waiting"),
        ("emr", "local"),
        shape=IN_WORKER,
        executors=ONLY_CELERY,
    ),
    Case(
        "redis_lost",
        Injection("Redis killed, back empty after 5 s", b.crash_redis, 5, b.start_redis, whole=True),
        ALL_STEPS,
        executors=ONLY_CELERY,
    ),
)
