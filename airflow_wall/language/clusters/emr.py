"""The cluster `emr`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from airflow_wall.language.base import Positive, SpecModel
from airflow_wall.language.clusters.base import RUNS_PROGRAMS, CloudClusterConfig, Filled, without
from airflow_wall.text.kinds import Identity, Plain, Resource

MANAGED = (
    "Name",
    "Tags",
    "AutoTerminationPolicy",
    "Instances.KeepJobFlowAliveWhenNoSteps",
    "Instances.TerminationProtected",
)
"""Keys of EMR's `RunJobFlow` that the user may not set. The backend has the same list, and a test compares them."""


class EmrScaling(SpecModel):
    """Limits of the number of workers that EMR starts, by the amount of work."""

    min: Positive = Field(description="The fewest workers.")
    max: Positive = Field(description="The most workers.")


class EmrNetwork(SpecModel):
    """The network of the machines, and their rights."""

    subnet: Resource[Filled] | None = Field(None, description="The subnet's id.")
    key_pair: Resource[Filled] | None = Field(None, description="The key pair for SSH to the machines.")
    instance_profile: Identity[Filled] | None = Field(
        None, description="The instance profile with the machines' rights; by default `EMR_EC2_DefaultRole`."
    )
    service_role: Identity[Filled] | None = Field(
        None, description="The role with EMR's own rights; by default `EMR_DefaultRole`."
    )


class EmrClusterConfig(CloudClusterConfig):
    """Amazon EMR on EC2. Needs `airflow-wall[amazon]`."""

    needs_extra: ClassVar[str] = "amazon"
    packages: ClassVar[tuple[str, ...]] = ("boto3",)

    type: Plain[Literal["emr"]] = Field(description="The kind of cluster.")
    autoscaling: EmrScaling | None = Field(None, description="Limits for starting and ending workers by load.")
    network: EmrNetwork | None = Field(None, description="The network of the machines, and their rights.")
    log_uri: Resource[Filled] | None = Field(None, description="Folder of S3 for EMR's own logs.")
    parallel_jobs: Positive = Field(10, description="The most jobs that run at once.")
    extra: Annotated[dict[str, Any], without(MANAGED), RUNS_PROGRAMS] = Field(
        {}, description="Further keys of EMR's `RunJobFlow`, over those made from the other keys."
    )
