"""The cost of a cluster in node-hours, and its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_wall.clusters.base import Clock
from airflow_wall.errors import ClusterError

_EVERY = timedelta(minutes=1)


def node_hours(spans: Iterable[tuple[datetime, datetime | None]], now: datetime) -> float:
    """Return the sum of the hours of all machines; a span without end goes on until now."""
    return sum((((end or now) - start) / timedelta(hours=1) for start, end in spans), 0.0)


class Budget:
    """
    The limit on the cost of a cluster.

    :param config: The configuration; without `max_node_hours` the cost is not limited.
    :param spent: Asks the cloud for the node-hours used so far.
    """

    def __init__(self, name: str, config: Mapping[str, Any], clock: Clock, spent: Callable[[], float]) -> None:
        self.name = name
        self.most = config.get("max_node_hours")
        self.clock = clock
        self.spent = spent
        self.asked: datetime | None = None

    def check(self) -> None:
        """
        Check the cost against the limit, at most once a minute.

        :raises ClusterError: the limit is exceeded.
        """
        now = self.clock.now()
        if self.most is None or (self.asked is not None and now < self.asked + _EVERY):
            return
        self.asked = now
        spent = self.spent()
        if spent > self.most:
            raise ClusterError(
                f"cluster `{self.name}` has used {spent:.2f} node-hours, more than "
                f"`cluster.max_node_hours: {self.most:g}`",
                hint="find out why the run takes so long, or raise `cluster.max_node_hours`; then clear this task",
            )
