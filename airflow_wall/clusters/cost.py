"""What a cluster has cost so far, in hours of one machine, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_wall.clusters.base import Clock
from airflow_wall.errors import ClusterError

_EVERY = timedelta(minutes=1)


def node_hours(spans: Iterable[tuple[datetime, datetime | None]], now: datetime) -> float:
    """Hours of all machines together; a span without end goes on."""
    return sum((((end or now) - start) / timedelta(hours=1) for start, end in spans), 0.0)


class Budget:
    """
    What a cluster may cost.

    :param config: With `max_node_hours`, or without a bound.
    :param spent: Asks the cloud what it has cost so far.
    """

    def __init__(self, name: str, config: Mapping[str, Any], clock: Clock, spent: Callable[[], float]) -> None:
        self.name = name
        self.most = config.get("max_node_hours")
        self.clock = clock
        self.spent = spent
        self.asked: datetime | None = None

    def check(self) -> None:
        """
        See to it, at most once a minute, that the bound is kept.

        :raises ClusterError: it is exceeded.
        """
        now = self.clock.now()
        if self.most is None or (self.asked is not None and now < self.asked + _EVERY):
            return
        self.asked = now
        spent = self.spent()
        if spent > self.most:
            raise ClusterError(
                f"cluster `{self.name}` has cost {spent:.2f} node-hours, more than "
                f"`cluster.max_node_hours: {self.most:g}`",
                hint="look why it takes so long; else raise the bound, and clear this task",
            )
