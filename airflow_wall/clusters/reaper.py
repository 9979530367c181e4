"""The rules by which the reaper ends clusters that no task will stop."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from airflow_wall.clusters.base import ClusterState, FoundCluster


class RunState(StrEnum):
    """The state of a run, or the lack of an answer from Airflow."""

    UNDER_WAY = "under way"
    OVER = "over"
    MISSING = "missing"
    """State of a run that Airflow no longer has, because it was deleted."""
    UNKNOWN = "unknown"
    """Airflow did not answer."""


def why_end(cluster: FoundCluster, run: RunState, now: datetime) -> str | None:
    """
    Return the reason to end a cluster, in words; None if it is not to be ended.

    :param run: State of the cluster's run; unknown for a cluster without an owner.
    """
    if cluster.state is ClusterState.STOPPING:
        return None
    if now >= cluster.lease:
        return f"its lease ended at {cluster.lease:%Y-%m-%d %H:%M} UTC"
    if run is RunState.OVER:
        return "its run is over"
    if run is RunState.MISSING:
        return "its run was deleted"
    return None
