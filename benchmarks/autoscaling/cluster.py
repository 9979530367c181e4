"""
A simulation, in seconds, of all that decides the number of workers: KEDA, the HPA, a Deployment and Celery.

KEDA and the HPA do here what keda/pkg/scaling and kubernetes/pkg/controller/podautoscaler do: KEDA wakes a Deployment
at 0 and puts it back there when nothing was needed for its cooldown; between 1 and the maximum the HPA follows the
query's answer, with its tolerance, windows and policies. The answer is that of the SQL itself, run in DuckDB.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

TOLERANCE = 0.1
"""Tolerance of the HPA: it changes nothing while the wanted number is nearer to the current one."""

HPA_PERIOD = 15
"""Seconds between two looks of the HPA."""

DEFAULT_BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
"""The HPA's default behaviour."""


@dataclass
class Task:
    """
    One piece of work on one worker.

    :param arrival: When it is queued.
    :param seconds: How long it runs.
    :param started: When it began, the last time.
    :param waited: Seconds until it began the first time.
    """

    arrival: float
    seconds: float
    started: float | None = None
    waited: float | None = None


@dataclass
class Worker:
    """
    A pod on a node of its own.

    :param name: Its address.
    :param created: When the Deployment made it.
    :param ready: When it takes tasks.
    :param told: Time at which it got the signal to end; None before.
    """

    name: str
    created: float
    ready: float
    told: float | None = None
    tasks: list[Task] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """
    How workers are scaled.

    :param scaled: A ScaledObject's `spec`.
    :param grace: Seconds that a worker may take to end.
    :param slots: Tasks that a worker runs at once.
    :param boot: Seconds from a pod's creation, node included, until it takes tasks.
    """

    scaled: Mapping[str, Any]
    grace: float
    slots: int
    boot: float

    @property
    def query(self) -> str:
        """The SQL."""
        text: str = self.scaled["triggers"][0]["metadata"]["query"]
        return text

    @property
    def behavior(self) -> Mapping[str, Any]:
        """That of the HPA, for each direction."""
        own = self.scaled.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
        return {way: {**default, **own.get(way, {})} for way, default in DEFAULT_BEHAVIOR.items()}


class Answers:
    """
    Results of a query for the current tasks; equal states are queried once.

    :param query: The SQL.
    """

    def __init__(self, query: str) -> None:
        self.query = query
        self.database = duckdb.connect()
        self.database.execute("CREATE TABLE task_instance (state TEXT, queue TEXT, executor TEXT, hostname TEXT)")
        self.database.execute("CREATE TABLE callback (type TEXT, state TEXT, data JSON)")
        self.known: dict[tuple[int, tuple[int, ...]], int] = {}

    def to(self, queued: int, running: tuple[int, ...]) -> int:
        """With so many queued, and so many running on each busy worker."""
        state = (queued, tuple(sorted(running)))
        if state not in self.known:
            rows = [("queued", "")] * queued + [
                ("running", f"10.0.0.{host}") for host, count in enumerate(running) for _ in range(count)
            ]
            self.database.execute("DELETE FROM task_instance")
            if rows:
                self.database.executemany("INSERT INTO task_instance VALUES (?, 'default', NULL, ?)", rows)
            found = self.database.execute(self.query).fetchone()
            assert found is not None
            self.known[state] = int(found[0])
        return self.known[state]


class Autoscaler:
    """
    KEDA and its HPA over one Deployment.

    :param settings: Their settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.minimum = int(settings.scaled["minReplicaCount"])
        self.maximum = int(settings.scaled["maxReplicaCount"])
        self.last_active = -math.inf
        self.wanted: deque[tuple[float, int]] = deque()
        self.changes: deque[tuple[float, int]] = deque()

    def keda(self, now: float, replicas: int, answer: int) -> int:
        """Between none and one."""
        if answer > 0:
            self.last_active = now
            return replicas or self._changed(now, 0, max(1, self.minimum))
        if replicas > self.minimum == 0 and now - self.last_active >= self.settings.scaled["cooldownPeriod"]:
            return self._changed(now, replicas, 0)
        return replicas

    def hpa(self, now: float, replicas: int, answer: int) -> int:
        """Between one and the maximum."""
        if replicas == 0:
            return 0
        wanted = replicas if 1 - TOLERANCE <= answer / replicas <= 1 + TOLERANCE else answer
        wanted = min(max(wanted, self.minimum, 1), self.maximum)
        wanted = self._stabilized(now, replicas, wanted)
        if wanted > replicas:
            wanted = min(wanted, self._limit(now, replicas, "scaleUp"))
        elif wanted < replicas:
            wanted = max(wanted, self._limit(now, replicas, "scaleDown"))
        return self._changed(now, replicas, wanted)

    def _stabilized(self, now: float, replicas: int, wanted: int) -> int:
        """The least that was wanted within the window up, the most within the window down."""
        self.wanted.append((now, wanted))
        windows = {way: self.settings.behavior[way]["stabilizationWindowSeconds"] for way in DEFAULT_BEHAVIOR}
        while self.wanted[0][0] < now - max(windows.values()):
            self.wanted.popleft()
        up = min(each for when, each in self.wanted if when >= now - windows["scaleUp"])
        down = max(each for when, each in self.wanted if when >= now - windows["scaleDown"])
        return up if replicas < up else down if replicas > down else replicas

    def _limit(self, now: float, replicas: int, way: str) -> int:
        limits = []
        for policy in self.settings.behavior[way]["policies"]:
            # As many as there were when the policy's period began.
            before = replicas - sum(change for when, change in self.changes if when > now - policy["periodSeconds"])
            share = policy["value"] / 100 * before if policy["type"] == "Percent" else policy["value"]
            limits.append(math.ceil(before + share) if way == "scaleUp" else math.floor(before - share))
        return max(limits) if way == "scaleUp" else min(limits)

    def _changed(self, now: float, before: int, after: int) -> int:
        if before != after:
            self.changes.append((now, after - before))
        while self.changes and self.changes[0][0] < now - 1800:
            self.changes.popleft()
        return after
