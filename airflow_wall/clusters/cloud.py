"""What clouds answer when they do not do what they are asked, and how that is told."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from airflow_wall.clusters.base import Site
from airflow_wall.errors import ClusterError, ConnectionFault, Interrupted

IDLE = timedelta(minutes=30)
"""After how long without a job a cloud ends a cluster, where the configuration does not say."""

LONGEST = timedelta(hours=24)
"""How long a cluster may live, where the configuration does not say."""


class Fault(StrEnum):
    """What kind of refusal an answer is."""

    EXISTS = "exists"
    MISSING = "missing"
    BUSY = "busy"
    """The thing is in a state in which this cannot be done with it."""
    DENIED = "denied"
    REFUSED = "refused"
    """The request itself is wrong, and will be wrong again."""
    QUOTA = "quota"
    LATER = "later"
    """Throttled, out of order, or no answer at all: nobody knows whether it was done."""


class CloudError(Exception):
    """
    A cloud did not do what it was asked, or did not answer.

    :param reason: The cloud's own words.
    """

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(fault, reason)
        self.fault = fault
        self.reason = reason


class Call(Protocol):
    """
    One call of a cloud's API: the name of the operation and its arguments, plain values in and out.

    Every call is a place where this process, the wire or the cloud may die: there is no other way to the cloud.
    """

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """
        Return the answer.

        :raises CloudError: there is none, or it is a refusal.
        """


@contextlib.contextmanager
def passed_over(*faults: Fault) -> Iterator[None]:
    """Go on where a cloud refuses for one of these reasons: what is asked for is so already."""
    try:
        yield
    except CloudError as error:
        if error.fault not in faults:
            raise


@contextlib.contextmanager
def told(name: str, config: Mapping[str, Any], what: str) -> Iterator[None]:
    """
    Tell what a cloud answers by the key of the YAML it is about.

    :param name: The cluster's name.
    :param what: What was asked, e.g. `start a cluster`.
    """
    try:
        yield
    except CloudError as error:
        raise in_words(error, name, config, what) from error


def in_words(
    error: CloudError, name: str, config: Mapping[str, Any], what: str
) -> ClusterError | ConnectionFault | Interrupted:
    """What a cloud answers, as an error of ours."""
    said = f"{config['type']}: {error.reason}"
    if error.fault is Fault.DENIED:
        conn_id = config.get("conn_id")
        by = f"connection `{conn_id}` (`cluster.conn_id`)" if conn_id else "the default connection (`cluster.conn_id`)"
        hint = "grant its role that, or name another connection; then clear this task"
        return ConnectionFault(f"{by} may not {what} `{name}`: {said}", hint=hint)
    if error.fault in (Fault.LATER, Fault.BUSY):
        key = blamed(config, error.reason)  # an unknown region is an address that nobody has
        return Interrupted(f"{'' if key == '`cluster`' else f'{key}: '}could not {what} `{name}`: {said}")
    if error.fault is Fault.QUOTA:
        hint = "it is tried again, as other clusters end; else ask for less by `cluster.workers`, or raise the quota"
        return Interrupted(f"{blamed(config, error.reason)}: could not {what} `{name}`: {said}", hint=hint)
    return ClusterError(
        f"{blamed(config, error.reason)}: could not {what} `{name}`: {said}",
        hint="mend the key, or what it names in the cloud, and clear this task",
    )


def blamed(config: Mapping[str, Any], reason: str) -> str:
    """The key of the configuration whose value the cloud's reason quotes, and the value; else `cluster`."""
    found = [(len(text), key, text) for key, text in _leaves(config, "cluster") if len(text) > 2 and text in reason]
    if not found:
        return "`cluster`"
    _, key, text = max(found)
    return f"`{key}: {text}`"


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name != "type" or not isinstance(inner, str) or key != "cluster":
                yield from _leaves(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{place}]")
    elif value is not None and not isinstance(value, bool):
        yield key, str(value)


def checked_deployment(site: Site) -> None:
    """
    See to it that clusters say which Airflow they are of.

    :raises ClusterError: they would not: another Airflow with the same account could adopt them, or end them.
    """
    if not site.owner.deployment:
        raise ClusterError(
            "clusters of a cloud bear the name of the Airflow they belong to, and this one has none",
            hint="set `[wall] deployment` (AIRFLOW__WALL__DEPLOYMENT) on every component, e.g. to `production`",
        )


def spot_of(workers: Mapping[str, Any], least: int) -> tuple[int, int]:
    """
    How many workers stay, and how many the cloud may take back.

    :param workers: With `count`, by default 2, and `spot`: a share such as `50%`, or a number from 0 to 1.
    :param least: How many stay whatever `spot` says, as far as there are so many.
    """
    count = workers.get("count", 2)
    share = str(workers.get("spot") or 0)
    part = float(share[:-1]) / 100 if share.endswith("%") else float(share)
    spot = min(math.floor(count * part), max(count - least, 0))
    return count - spot, spot


def merged(request: Mapping[str, Any], extra: Mapping[str, Any], ours: tuple[str, ...]) -> dict[str, Any]:
    """
    Lay a raw request over what was made of the typed keys.

    :param ours: Dotted paths that it may not touch: what a cluster is found by, and what ends it.
    :raises ClusterError: it touches one.
    """
    for path in ours:
        at: Any = extra
        for part in path.split("."):
            at = at.get(part) if isinstance(at, Mapping) else None
        if at is not None:
            raise ClusterError(
                f"`cluster.extra.{path}` is decided by airflow-wall: by it clusters are found and ended",
                hint="remove it; the times to live are `idle_ttl` and `max_ttl`, tags are `labels`",
            )
    return _merged(request, extra)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _merged(made[key], value) if both else value
    return made
