"""Which clusters nobody will stop any more."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from airflow_wall.clusters.base import Found, State


class RunState(StrEnum):
    """What is known of a run."""

    UNDER_WAY = "under way"
    OVER = "over"
    MISSING = "missing"
    """Airflow was asked, answered, and has no such run: it was deleted."""
    UNKNOWN = "unknown"
    """Airflow could not be asked. This is no answer."""


def why_end(found: Found, run: RunState, now: datetime) -> str | None:
    """
    Why a cluster is to be ended, in words; None where it is to be left.

    :param run: What is known of its run. Of a cluster that does not say whose it is: unknown.
    """
    if found.state is State.STOPPING:
        return None
    if now >= found.lease:
        return f"its lease ended at {found.lease:%Y-%m-%d %H:%M} UTC"
    if run is RunState.OVER:
        return "its run is over"
    if run is RunState.MISSING:
        return "its run was deleted"
    return None
