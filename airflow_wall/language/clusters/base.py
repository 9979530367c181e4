"""The base of the kinds of clusters, and the types that several kinds share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from airflow_wall.language.base import ConnId, Duration, Lake, NonNegative, SpecModel
from airflow_wall.language.environment import Program
from airflow_wall.text.kinds import Beyond, CloudConnection, FieldKind, Plain

Filled = Annotated[str, StringConstraints(min_length=1)]
Machine = Plain[Filled]
"""A cloud's name for a kind of machine, or for a region."""

Block = type[SpecModel]  # a name of its own, because these blocks have a field `type`

RUNS_PROGRAMS = Beyond("can have any program run on the cluster")


def _share(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"(100|[1-9]?\d)%", value)):
        near = value * 100 if isinstance(value, float) and 0 <= value <= 1 else 50
        raise PydanticCustomError("share", "must be a share", {"hint": f"write e.g. `{near:.0f}%`"})
    return value


Share = Annotated[
    str, BeforeValidator(_share), WithJsonSchema({"type": "string", "examples": ["50%"]}), FieldKind.PLAIN
]


def _between(least: timedelta, most: timedelta, words: str) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise PydanticCustomError("length_of_time", f"must be {words}", {"hint": "write e.g. `30m`, `12h` or `2d`"})
        return value

    return AfterValidator(check)


IdleTtl = Annotated[Duration, _between(timedelta(minutes=5), timedelta(days=7), "5 minutes to 7 days")]
MaxTtl = Annotated[Duration, _between(timedelta(minutes=10), timedelta(days=14), "10 minutes to 14 days")]


def without(managed: tuple[str, ...]) -> AfterValidator:
    """Return a check that a mapping has none of these keys, which airflow-wall sets. Inner keys are written `a.b`."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        for path in managed:
            at: Any = value
            for part in path.split("."):
                at = at.get(part) if isinstance(at, Mapping) else None
            if at is not None:
                message = f"must not hold `{path}`, by which clusters are found or ended"
                hint = f"remove `{path}`; there are `idle_ttl`, `max_ttl` and `labels`"
                raise PydanticCustomError("managed", message, {"hint": hint})
        return value

    return AfterValidator(check)


class LakePlace(SpecModel):
    """A lake in which clusters of a kind are recorded."""

    type: Plain[Filled] = Field(description="The kind of clusters.")
    storage: Lake | None = Field(None, description="The lake; by default the task's own.")


class CloudPlace(SpecModel):
    """A region of a cloud, seen through one connection."""

    type: Plain[Filled] = Field(description="The kind of clusters.")
    region: Plain[Filled] = Field(description="The cloud's region, e.g. `eu-central-1`.")
    conn_id: CloudConnection[ConnId[Filled | None]] = Field(
        None, description="The Airflow connection; by default that of the provider."
    )


class ClusterConfig(SpecModel):
    """
    Base of the blocks of `cluster`, one for each `type`.

    A kind of cluster is two modules with the name of its `type`: its block here, e.g. `EmrClusterConfig`, and its
    backend in `airflow_wall.clusters.kinds`.
    """

    environments: ClassVar[tuple[str, ...]] = ()
    """Keys of a step's environment that such a cluster supports. The backend has the same."""

    place: ClassVar[Block] = LakePlace
    """The block by which `reap_clusters` finds such clusters."""

    stop_may_fail: ClassVar[bool] = True
    """True if stopping it calls something that may not answer. A release then goes on after a failed stop."""

    needs_extra: ClassVar[str] = "local"
    """The extra of airflow-wall that its backend needs."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Modules of this extra that its backend imports."""

    type: Plain[str] = Field(description="The kind of cluster.")
    max_ttl: MaxTtl = Field(
        timedelta(hours=24), description="Maximum lifetime, even if a run uses it; 10 minutes to 14 days."
    )


class Master(SpecModel):
    """The machine that runs the jobs' drivers, and so the embedded engine."""

    machine: Machine = Field(description="Its type, as the cloud names it.")


class Workers(SpecModel):
    """The other machines."""

    machine: Machine | None = Field(None, description="Their type, as the cloud names it; by default a small one.")
    count: NonNegative = Field(2, description="Number of these machines.")
    spot: Share | None = Field(
        None,
        description="Share of them that the cloud may take back, for less money; machines that must not vanish stay.",
    )


class CloudClusterConfig(ClusterConfig):
    """Base of the kinds of clusters that a cloud runs."""

    environments: ClassVar[tuple[str, ...]] = ("python",)
    place: ClassVar[Block] = CloudPlace

    region: Machine = Field(description="The cloud's region.")
    conn_id: CloudConnection[ConnId[Filled | None]] = Field(
        None, description="The Airflow connection; by default that of the provider."
    )
    image: Annotated[Filled, FieldKind.IMAGE] = Field(
        description="The version of the cluster's software, as the cloud names it."
    )
    master: Master | None = Field(None, description="The machine that runs the jobs' drivers.")
    workers: Workers | None = Field(None, description="The other machines; by default two.")
    idle_ttl: IdleTtl = Field(
        timedelta(minutes=30), description="Time without a job after which the cloud ends it; 5 minutes to 7 days."
    )
    max_node_hours: Plain[float] | None = Field(
        None, gt=0, description="The most it may cost, in machines times hours; a run that exceeds it fails."
    )
    labels: Plain[dict[str, str]] = Field({}, description="Labels, for the bill; airflow-wall adds its own.")
    python: Program | None = Field(
        None, description="The Python on the cluster with the packages that jobs need; by default the cluster's own."
    )
