"""
Replay days of tasks against this chart's autoscaling and that of Apache Airflow's own chart, and compare.

    python benchmarks/autoscaling/simulate.py

What is simulated: arrivals, Celery's workers (warm shutdown: told to end, a worker takes no new task, finishes those it
has, and is killed after its grace), the Deployment (which ends the workers that became ready last), nodes that take
time to boot. A killed task is lost and runs again from its start. Tasks that defer come back as new ones.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import yaml
from cluster import HPA_PERIOD, Answers, Autoscaler, Settings, Task, Worker

CHART = Path(__file__).parents[2] / "helm"
STEP = 5
DAY = 24 * 3600
BOOT = 150
SLOTS = 4
MOST = 20

OFFICIAL: dict[str, Any] = {
    "pollingInterval": 5,
    "cooldownPeriod": 30,
    "minReplicaCount": 0,
    "maxReplicaCount": MOST,
    "triggers": [
        {
            "metadata": {
                "query": f"SELECT ceil(COUNT(*)::decimal / {SLOTS}) FROM task_instance "
                "WHERE (state='running' OR state='queued') AND queue IN ('default')"
            }
        }
    ],
}
"""The defaults of apache/airflow chart 1.22.0, `workers.celery.keda`; its grace is 600 s."""


@dataclass
class Outcome:
    """
    The cost of a day. Hours are node-hours.

    :param boots: Nodes that were started.
    :param total: All hours, from a node's start until it is given back.
    :param booting: Hours before a node could work.
    :param idle: Hours of nodes that could work and had nothing to do.
    :param lost: Hours of work that was lost with killed tasks, by their share of the node.
    """

    boots: int = 0
    killed: int = 0
    total: float = 0
    booting: float = 0
    idle: float = 0
    lost: float = 0
    waits: tuple[float, ...] = ()

    @property
    def thrash(self) -> float:
        """Hours that only starting and killing cost."""
        return self.booting + self.lost

    def row(self) -> dict[str, float]:
        """The figures to compare."""
        ordered = sorted(self.waits)
        return {
            "wait mean s": statistics.fmean(ordered),
            "wait p95 s": ordered[int(len(ordered) * 0.95)],
            "boots": self.boots,
            "killed": self.killed,
            "node h": self.total,
            "thrash h": self.thrash,
            "idle h": self.idle,
        }


class Simulation:
    """
    One set of workers, from its first task until all are done and the workers gone.

    :param settings: How it is scaled.
    :param tasks: What arrives.
    :param until: Seconds it takes at least.
    """

    def __init__(self, settings: Settings, tasks: list[Task], until: float = DAY) -> None:
        self.settings = settings
        self.until = until
        self.tasks = tasks
        self.coming = deque(sorted(tasks, key=lambda task: task.arrival))
        self.queue: deque[Task] = deque()
        self.workers: list[Worker] = []
        self.scaler = Autoscaler(settings)
        self.answers = Answers(settings.query)
        self.replicas = 0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """The outcome."""
        now = 0.0
        while now < self.until or self.coming or self.queue or any(worker.tasks for worker in self.workers):
            while self.coming and self.coming[0].arrival <= now:
                self.queue.append(self.coming.popleft())
            self._work(now)
            self._scale(now)
            self._account(now)
            now += STEP
        self.outcome.waits = tuple(task.waited for task in self.tasks if task.waited is not None)
        assert len(self.outcome.waits) == len(self.tasks)
        return self.outcome

    def _work(self, now: float) -> None:
        for worker in self.workers:
            worker.tasks = [task for task in worker.tasks if now < (task.started or 0) + task.seconds]
            if worker.told is not None and now - worker.told >= self.settings.grace:
                self._kill(worker, now)
        self.workers = [worker for worker in self.workers if worker.told is None or worker.tasks]
        able = [worker for worker in self.workers if worker.told is None and worker.ready <= now]
        while self.queue and able:
            worker = min(able, key=lambda each: len(each.tasks))
            if len(worker.tasks) >= self.settings.slots:
                return
            task = self.queue.popleft()
            task.started = now
            task.waited = now - task.arrival if task.waited is None else task.waited
            worker.tasks.append(task)

    def _kill(self, worker: Worker, now: float) -> None:
        for task in worker.tasks:
            self.outcome.killed += 1
            self.outcome.lost += (now - (task.started or now)) / self.settings.slots / 3600
            self.queue.appendleft(task)
        worker.tasks = []

    def _scale(self, now: float) -> None:
        running = tuple(len(worker.tasks) for worker in self.workers if worker.tasks)
        if now % self.settings.scaled["pollingInterval"] == 0:
            self._have(self.scaler.keda(now, self.replicas, self.answers.to(len(self.queue), running)), now)
        if now % HPA_PERIOD == 0:
            self._have(self.scaler.hpa(now, self.replicas, self.answers.to(len(self.queue), running)), now)

    def _have(self, replicas: int, now: float) -> None:
        wanted = [worker for worker in self.workers if worker.told is None]
        for _ in range(replicas - len(wanted)):
            self.outcome.boots += 1
            self.workers.append(Worker(f"w{self.outcome.boots}", now, now + self.settings.boot))
        # A Deployment ends first who is not ready, then who became so last; it does not know who is busy.
        for worker in sorted(wanted, key=lambda each: -each.ready)[: max(0, len(wanted) - replicas)]:
            worker.told = now
        self.replicas = replicas

    def _account(self, now: float) -> None:
        for worker in self.workers:
            self.outcome.total += STEP / 3600
            if now < worker.ready:
                self.outcome.booting += STEP / 3600
            elif not worker.tasks:
                self.outcome.idle += STEP / 3600


def nightly(random_: random.Random) -> list[Task]:
    """A hundred pipelines at three in the morning, each of stages that wait for each other; a few tasks take an hour."""
    tasks = []
    for _ in range(100):
        at = 3 * 3600 + random_.uniform(0, 600)
        for _ in range(5):
            seconds = random_.choice((30, 60, 120, 240)) if random_.random() > 0.03 else random_.uniform(1800, 3500)
            tasks.append(Task(at, seconds))
            at += seconds + random_.uniform(5, 60)
    return tasks


def hourly(random_: random.Random) -> list[Task]:
    """Forty short tasks each hour, one long one each second hour."""
    tasks = []
    for hour in range(24):
        tasks += [Task(hour * 3600 + random_.uniform(0, 120), random_.uniform(20, 90)) for _ in range(40)]
        if hour % 2 == 0:
            tasks.append(Task(hour * 3600 + 60, random_.uniform(1200, 3300)))
    return tasks


def deferring(random_: random.Random) -> list[Task]:
    """Jobs on a cluster elsewhere: a task submits, defers for some minutes, comes back, and so for eight stages."""
    tasks = []
    for start in range(0, 20, 4):
        for _ in range(12):
            at = start * 3600 + random_.uniform(0, 900)
            for _ in range(8):
                tasks.append(Task(at, random_.uniform(10, 40)))
                at += random_.uniform(300, 900)
    return tasks


def straggling(random_: random.Random) -> list[Task]:
    """Bursts of short tasks, each with three that take most of an hour: the workers stand almost empty after it."""
    tasks = []
    for burst in range(0, 24, 3):
        at = burst * 3600
        tasks += [Task(at + random_.uniform(0, 60), random_.uniform(60, 300)) for _ in range(60)]
        tasks += [Task(at + random_.uniform(0, 60), random_.uniform(2400, 3500)) for _ in range(3)]
    return tasks


def all_day(random_: random.Random) -> list[Task]:
    """At random, thrice as many by day as by night."""
    tasks, at = [], 0.0
    while at < DAY:
        busy = 8 * 3600 < at < 18 * 3600
        at += random_.expovariate(1 / (20 if busy else 60))
        tasks.append(Task(at, min(3500, random_.lognormvariate(4.3, 1.2))))
    return tasks


DAYS: dict[str, Callable[[random.Random], list[Task]]] = {
    each.__name__: each for each in (nightly, hourly, deferring, straggling, all_day)
}


def ours() -> Settings:
    """Return the settings that the chart renders with its defaults, except for the maximum number of workers."""
    program = which("helm", path=str(Path(sys.executable).parent)) or which("helm") or "helm"
    arguments = ["--set", "workers.celery.keda.enabled=true", "--set", f"workers.celery.keda.maxReplicaCount={MOST}"]
    text = subprocess.run(
        [program, "template", "wall", str(CHART), *arguments], check=True, capture_output=True, text=True
    )
    found = [each for each in yaml.safe_load_all(text.stdout) if each]
    (scaled,) = [each["spec"] for each in found if each["kind"] == "ScaledObject"]
    name = scaled["scaleTargetRef"]["name"]
    (worker,) = [each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == name]
    return Settings(scaled, worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], SLOTS, BOOT)


def compare(day: str, until: float = DAY, seed: int = 1) -> dict[str, Outcome]:
    """One day, or its beginning, by both charts."""
    found = {}
    for name, settings in (("official", Settings(OFFICIAL, 600, SLOTS, BOOT)), ("ours", ours())):
        tasks = [task for task in DAYS[day](random.Random(seed)) if task.arrival < until]
        found[name] = Simulation(settings, tasks, until).run()
    return found


def main() -> None:
    """Print a table, or JSON with `--json`."""
    results = {day: {name: outcome.row() for name, outcome in compare(day).items()} for day in DAYS}
    if "--json" in sys.argv:
        print(json.dumps(results, indent=1))
        return
    columns = list(next(iter(results.values()))["ours"])
    print("| day | chart | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 2))
    for day, both in results.items():
        for name, row in both.items():
            print(
                f"| {day} | {name} | "
                + " | ".join(f"{row[column]:.1f}".removesuffix(".0") for column in columns)
                + " |"
            )


if __name__ == "__main__":
    main()
