"""The kinds of clusters, each a block with its own `type`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from airflow_wall.spark_request import MANAGED, SECRET, SIZES
from airflow_wall.spec.base import MEMORY_PATTERN, Duration, NonNegative, Positive, SpecModel
from airflow_wall.spec.environment import KEYS

GROUP = "airflow_wall.cluster_specs"
"""Entry points by which other packages say what their kinds take: the name is the `type`, the object a `SpecModel`."""

EMR_MANAGED = (
    "Name",
    "Tags",
    "AutoTerminationPolicy",
    "Instances.KeepJobFlowAliveWhenNoSteps",
    "Instances.TerminationProtected",
)
"""Keys of EMR's `RunJobFlow` that are not the user's; the backend has the same, and a test compares them."""

DATAPROC_MANAGED = ("lifecycle_config",)
"""Keys of Dataproc's `ClusterConfig` that are not the user's."""

Machine = Annotated[str, StringConstraints(min_length=1)]


def _share(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"(100|[1-9]?\d)%", value)):
        near = value * 100 if isinstance(value, float) and 0 <= value <= 1 else 50
        raise PydanticCustomError("share", "must be a share", {"hint": f"write e.g. `{near:.0f}%`"})
    return value


Share = Annotated[str, BeforeValidator(_share), WithJsonSchema({"type": "string", "examples": ["50%"]})]


def _between(least: timedelta, most: timedelta, words: str) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise PydanticCustomError("length_of_time", f"must be {words}", {"hint": "write e.g. `30m`, `12h` or `2d`"})
        return value

    return AfterValidator(check)


IdleTtl = Annotated[Duration, _between(timedelta(minutes=5), timedelta(days=7), "5 minutes to 7 days")]
MaxTtl = Annotated[Duration, _between(timedelta(minutes=10), timedelta(days=14), "10 minutes to 14 days")]


def _without(managed: tuple[str, ...]) -> AfterValidator:
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


class LocalCluster(SpecModel):
    """Processes on the worker's own machine."""

    environments: ClassVar[tuple[str, ...]] = KEYS

    type: Literal["local"] = Field(description="The kind of cluster.")
    threads: Positive = Field(2, description="How many threads one job may use.")
    memory: str = Field("2GB", pattern=MEMORY_PATTERN, description="How much memory the engine of one job may use.")
    max_ttl: MaxTtl = Field(
        timedelta(hours=24),
        description="After how long the reaper forgets it whatever its run does; 10 minutes to 14 days.",
    )


class SparkWorkers(SpecModel):
    """The workers of a cluster of Spark, each a process on the machine that starts it."""

    count: Positive = Field(1, description="How many there are.")
    cores: Positive = Field(1, description="How many cores each has.")
    memory: str = Field("1GB", pattern=MEMORY_PATTERN, description="How much memory each has for its executors.")


def _spark_key(key: str) -> str:
    if not key.startswith("spark."):
        raise PydanticCustomError("conf", "must begin with `spark.`", {"hint": f"did you mean `spark.{key}`?"})
    if key in MANAGED:
        raise PydanticCustomError("conf", "is decided by airflow-wall", {"hint": f"remove `{key}`"})
    if re.search(SECRET, key, re.IGNORECASE):
        hint = "give the machine the right to the data instead, e.g. by the role of its instance"
        raise PydanticCustomError(
            "conf", "may hold a secret, and Spark shows its configuration in its UI", {"hint": hint}
        )
    return key


def _spark_master(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"spark://[^\s,/]+:\d+(,[^\s,/]+:\d+)*", value)):
        hint = "write e.g. `spark://spark.example:7077`; leave it out to have one started"
        raise PydanticCustomError("master", "must be the address of a master of Spark", {"hint": hint})
    return value


SparkKey = Annotated[str, AfterValidator(_spark_key)]
SparkMaster = Annotated[str, BeforeValidator(_spark_master), WithJsonSchema({"type": "string", "pattern": "^spark://"})]


class SparkCluster(SpecModel):
    """Spark's own cluster: started on the worker's machine, or one that is there. Needs `airflow-wall[spark]`."""

    environments: ClassVar[tuple[str, ...]] = ()

    type: Literal["spark"] = Field(description="The kind of cluster.")
    engine: Literal["spark", "embedded"] = Field(
        "spark",
        description="What does the work: Spark's executors, or the embedded engine beside the task.",
    )
    master: SparkMaster | None = Field(
        None, description="A master that is there already, `spark://HOST:PORT`; by default one is started for the run."
    )
    workers: SparkWorkers | None = Field(
        None, description="What is started; by default one worker of one core and 1GB."
    )
    parallel_jobs: Positive = Field(
        1, description="How many jobs share the workers at once; others wait for their turn."
    )
    host: Machine | None = Field(
        None, description="The address that is listened on; by default only this machine's own."
    )
    port: int | None = Field(None, ge=1024, le=65535, description="The master's port; by default any that is free.")
    threads: Positive = Field(2, description="How many threads the embedded engine of one job may use.")
    memory: str = Field("2GB", pattern=MEMORY_PATTERN, description="How much memory the embedded engine may use.")
    max_ttl: MaxTtl = Field(
        timedelta(hours=24), description="Its lease: how long it may live whatever happens; 10 minutes to 14 days."
    )
    python: Machine | None = Field(
        None, description="The Python that runs the jobs, and has `pyspark`; by default the worker's own."
    )
    conf: dict[SparkKey, str | int | bool] = Field(
        {}, description="Spark's configuration of the jobs, besides what is decided here. No secrets: Spark shows it."
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> SparkCluster:
        ours = [key for key in ("workers", "host", "port") if getattr(self, key) is not None]
        if self.master is not None and ours:
            hint = f"remove `{ours[0]}`, or remove `master`"
            message = f"cannot have `master`, a Spark that is there, and `{ours[0]}`, of one that is started"
            raise PydanticCustomError("master", message, {"hint": hint})
        sizes = [key for key in SIZES if key in self.conf]
        if self.master is None and sizes:
            message = f"cannot have `{sizes[0]}` in `conf`: it follows from `workers` and `parallel_jobs`"
            raise PydanticCustomError("conf", message, {"hint": f"remove `{sizes[0]}`"})
        return self


class Master(SpecModel):
    """The machine that runs the jobs' drivers, and so the embedded engine."""

    machine: Machine = Field(description="Its type, as the cloud names it.")


class Workers(SpecModel):
    """The other machines."""

    machine: Machine | None = Field(None, description="Their type, as the cloud names it; by default a small one.")
    count: NonNegative = Field(2, description="How many there are.")
    spot: Share | None = Field(
        None, description="Which share of them the cloud may take back, for less money; what must not vanish stays."
    )


class EmrScaling(SpecModel):
    """How many machines EMR may make of the workers, as there is work."""

    min: Positive = Field(description="At least so many.")
    max: Positive = Field(description="At most so many.")


class EmrNetwork(SpecModel):
    """Where the machines are, and what they may do."""

    subnet: Machine | None = Field(None, description="The subnet's id.")
    key_pair: Machine | None = Field(None, description="The key pair that opens them by SSH.")
    instance_profile: Machine | None = Field(None, description="What they may do; by default `EMR_EC2_DefaultRole`.")
    service_role: Machine | None = Field(None, description="What EMR may do for them; by default `EMR_DefaultRole`.")


class _CloudCluster(SpecModel):
    environments: ClassVar[tuple[str, ...]] = ("python",)

    type: str = Field(description="The kind of cluster.")
    region: Machine = Field(description="The cloud's region.")
    conn_id: Machine | None = Field(None, description="The Airflow connection; by default that of the provider.")
    image: Machine = Field(description="The version of the cluster's software, as the cloud names it.")
    master: Master | None = Field(None, description="The machine that runs the jobs' drivers.")
    workers: Workers | None = Field(None, description="The other machines; by default two.")
    idle_ttl: IdleTtl = Field(
        timedelta(minutes=30), description="After how long without a job the cloud ends it; 5 minutes to 7 days."
    )
    max_ttl: MaxTtl = Field(
        timedelta(hours=24), description="How long it may live whatever happens; 10 minutes to 14 days."
    )
    max_node_hours: float | None = Field(
        None, gt=0, description="What it may cost, in machines times hours; a run that exceeds it fails."
    )
    labels: dict[str, str] = Field({}, description="Labels, for the bill; ours come on top.")
    python: Machine | None = Field(
        None, description="The Python on the cluster that has what jobs need; by default the cluster's own."
    )


class EmrCluster(_CloudCluster):
    """Amazon EMR on EC2. Needs `airflow-wall[amazon]`."""

    type: Literal["emr"] = Field(description="The kind of cluster.")
    autoscaling: EmrScaling | None = Field(None, description="How many machines it may have, as there is work.")
    network: EmrNetwork | None = Field(None, description="Where the machines are, and what they may do.")
    log_uri: Machine | None = Field(None, description="Folder of S3 for EMR's own logs.")
    parallel_jobs: Positive = Field(10, description="How many jobs run at once.")
    extra: Annotated[dict[str, Any], _without(EMR_MANAGED)] = Field(
        {}, description="Anything else of EMR's `RunJobFlow`, laid over what is made of the other keys."
    )


class DataprocScaling(SpecModel):
    """How many machines Dataproc may make of the workers, as there is work."""

    policy: Machine = Field(description="The autoscaling policy: `projects/P/regions/R/autoscalingPolicies/NAME`.")


class DataprocNetwork(SpecModel):
    """Where the machines are, and what they may do."""

    subnet: Machine | None = Field(None, description="The subnetwork's URI.")
    service_account: Machine | None = Field(None, description="What they may do.")
    tags: list[str] | None = Field(None, description="Their network tags, for firewalls.")
    internal_only: bool | None = Field(None, description="Whether they have no address of the internet.")


class DataprocCluster(_CloudCluster):
    """Google Cloud Dataproc. Needs `airflow-wall[google]`."""

    type: Literal["dataproc"] = Field(description="The kind of cluster.")
    project: Machine | None = Field(None, description="The project; by default that of the connection.")
    impersonate: Machine | None = Field(None, description="The service account in whose name it is started.")
    autoscaling: DataprocScaling | None = Field(None, description="How many machines it may have, as there is work.")
    network: DataprocNetwork | None = Field(None, description="Where the machines are, and what they may do.")
    bucket: Machine | None = Field(None, description="Bucket for the files of Dataproc's jobs.")
    extra: Annotated[dict[str, Any], _without(DATAPROC_MANAGED)] = Field(
        {}, description="Anything else of Dataproc's `ClusterConfig`, laid over what is made of the other keys."
    )


KINDS: dict[str, type[SpecModel]] = {
    "local": LocalCluster,
    "spark": SparkCluster,
    "emr": EmrCluster,
    "dataproc": DataprocCluster,
}
"""Block of each `type`."""


@cache
def brought() -> Mapping[str, EntryPoint]:
    """What other packages bring, by its `type`: asked once a process, as it reads what is installed."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _of_its_type(value: Any) -> BaseModel:
    """The block that `type` says, so that faults are those of one kind."""
    if not isinstance(value, Mapping):
        hint = "write e.g. `cluster: {type: local}`"
        raise PydanticCustomError("model_type", "must be a mapping", {"hint": hint})
    kind = value.get("type")
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind].model_validate(value)
    if isinstance(kind, str) and kind in brought():
        model: type[SpecModel] = brought()[kind].load()
        return model.model_validate(value)
    known: Any = Literal[(*KINDS, *brought())]
    return create_model("Kind", type=(known, ...), __config__=ConfigDict(extra="ignore")).model_validate(value)


_Ours = LocalCluster | SparkCluster | EmrCluster | DataprocCluster

Cluster = Annotated[_Ours, PlainValidator(_of_its_type, json_schema_input_type=_Ours)]
"""A cluster of a kind of ours, or of another package."""
