"""The errors of clouds, and their translation to errors of airflow-wall."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from airflow_wall.clusters.base import ClusterSite
from airflow_wall.errors import ClusterError, ConnectionFault, Interrupted

IDLE = timedelta(minutes=30)
"""Default of `idle_ttl`: a cloud ends a cluster after this time without a job."""

LONGEST = timedelta(hours=24)
"""Default of `max_ttl`: the longest time that a cluster may live."""


class CloudFault(StrEnum):
    """The kind of error that a cloud answers."""

    EXISTS = "exists"
    MISSING = "missing"
    BUSY = "busy"
    """The state of the resource does not allow the operation."""
    DENIED = "denied"
    REFUSED = "refused"
    """The request itself is wrong; repeating it fails again."""
    QUOTA = "quota"
    LATER = "later"
    """Throttled, unavailable, or no answer at all: the operation may have been done."""


class CloudError(Exception):
    """
    Raised when a cloud refuses an operation or does not answer.

    :param reason: The cloud's message.
    """

    def __init__(self, fault: CloudFault, reason: str) -> None:
        super().__init__(fault, reason)
        self.fault = fault
        self.reason = reason


class Call(Protocol):
    """
    A function that calls an operation of a cloud's API by its name, with plain values in and out.

    All access to a cloud goes through it. At every call this process, the network or the cloud may fail.
    """

    def __call__(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """
        Call the operation and return its answer.

        :raises CloudError: the cloud refuses or does not answer.
        """


@contextlib.contextmanager
def ignore_faults(*faults: CloudFault) -> Iterator[None]:
    """Ignore cloud errors of these kinds, because the wanted state is already reached."""
    try:
        yield
    except CloudError as error:
        if error.fault not in faults:
            raise


@contextlib.contextmanager
def error_context(name: str, config: Mapping[str, Any], what: str) -> Iterator[None]:
    """
    Translate cloud errors to errors that name the key of the YAML.

    :param name: The cluster's name.
    :param what: The operation in words, e.g. `start cluster`.
    """
    try:
        yield
    except CloudError as error:
        raise to_wall_error(error, name, config, what) from error


def to_wall_error(
    error: CloudError, name: str, config: Mapping[str, Any], what: str
) -> ClusterError | ConnectionFault | Interrupted:
    """Return the error of airflow-wall for an error of a cloud."""
    reason = f"{config['type']}: {error.reason}"
    if error.fault is CloudFault.DENIED:
        conn_id = config.get("conn_id")
        by = f"connection `{conn_id}` (`cluster.conn_id`)" if conn_id else "the default connection (`cluster.conn_id`)"
        hint = "grant the role of the connection this right, or name another connection; then clear this task"
        return ConnectionFault(f"{by} may not {what} `{name}`: {reason}", hint=hint)
    if error.fault in (CloudFault.LATER, CloudFault.BUSY):
        key = faulty_key(config, error.reason)  # an unknown region looks like an unreachable address
        return Interrupted(f"{'' if key == '`cluster`' else f'{key}: '}could not {what} `{name}`: {reason}")
    if error.fault is CloudFault.QUOTA:
        hint = "the task is retried, as other clusters may end; or lower `cluster.workers`, or raise the quota"
        return Interrupted(f"{faulty_key(config, error.reason)}: could not {what} `{name}`: {reason}", hint=hint)
    return ClusterError(
        f"{faulty_key(config, error.reason)}: could not {what} `{name}`: {reason}",
        hint="correct this key, or the resource that it names in the cloud, and clear this task",
    )


def faulty_key(config: Mapping[str, Any], reason: str) -> str:
    """Return the key and value of the configuration whose value the cloud's message quotes; else `cluster`."""
    matches = [(len(text), key, text) for key, text in _leaves(config, "cluster") if len(text) > 2 and text in reason]
    if not matches:
        return "`cluster`"
    _, key, text = max(matches)
    return f"`{key}: {text}`"


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name != "type" or not isinstance(inner, str) or key != "cluster":
                yield from _leaves(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}[{index}]")
    elif value is not None and not isinstance(value, bool):
        yield key, str(value)


def check_deployment(site: ClusterSite) -> None:
    """
    Check that `[wall] deployment` is set, so that clusters are labelled with their Airflow deployment.

    :raises ClusterError: it is not set: another Airflow with the same account could adopt or end the clusters.
    """
    if not site.owner.deployment:
        raise ClusterError(
            "`[wall] deployment` is not set: a cluster in a cloud is labelled with the name of its Airflow deployment",
            hint="set `[wall] deployment` (AIRFLOW__WALL__DEPLOYMENT) on every component, e.g. to `production`",
        )


def spot_of(workers: Mapping[str, Any], least: int) -> tuple[int, int]:
    """
    Return the number of on-demand workers and of spot workers, which the cloud may take back.

    :param workers: With `count`, by default 2, and `spot`: a share such as `50%`, or a number from 0 to 1.
    :param least: Lowest number of on-demand workers, unless `count` is smaller.
    """
    count = workers.get("count", 2)
    share = str(workers.get("spot") or 0)
    part = float(share[:-1]) / 100 if share.endswith("%") else float(share)
    spot = min(math.floor(count * part), max(count - least, 0))
    return count - spot, spot


def merge_request(request: Mapping[str, Any], extra: Mapping[str, Any], ours: tuple[str, ...]) -> dict[str, Any]:
    """
    Merge a raw request into the request that was built from the typed keys.

    :param ours: Dotted paths that it must not set, because clusters are found and ended by them.
    :raises ClusterError: it sets one.
    """
    for path in ours:
        at: Any = extra
        for part in path.split("."):
            at = at.get(part) if isinstance(at, Mapping) else None
        if at is not None:
            raise ClusterError(
                f"`cluster.extra.{path}` is decided by airflow-wall, which finds and ends clusters by it",
                hint="remove it; set lifetimes with `idle_ttl` and `max_ttl`, and tags with `labels`",
            )
    return _merged(request, extra)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged_request = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged_request.get(key), Mapping)
        merged_request[key] = _merged(merged_request[key], value) if both else value
    return merged_request
