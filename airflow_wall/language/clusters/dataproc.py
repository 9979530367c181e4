"""The cluster `dataproc`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from airflow_wall.language.base import SpecModel
from airflow_wall.language.clusters.base import RUNS_PROGRAMS, Block, CloudClusterConfig, CloudPlace, Filled, without
from airflow_wall.text.kinds import Beyond, Identity, Plain, Resource

MANAGED = ("lifecycle_config",)
"""Keys of Dataproc's `ClusterConfig` that the user may not set."""

_INTERNET = Beyond("can give the machines an address of the internet")


class DataprocPlace(CloudPlace):
    """A region of a project of Google Cloud, seen through one connection."""

    project: Resource[Filled] | None = Field(None, description="The project; by default that of the connection.")
    impersonate: Identity[Filled] | None = Field(None, description="The service account that ends the clusters.")


class DataprocScaling(SpecModel):
    """The policy by which Dataproc starts and ends workers by load."""

    policy: Resource[Filled] = Field(
        description="The autoscaling policy: `projects/P/regions/R/autoscalingPolicies/NAME`."
    )


class DataprocNetwork(SpecModel):
    """The network of the machines, and their rights."""

    subnet: Resource[Filled] | None = Field(None, description="The subnetwork's URI.")
    service_account: Identity[Filled] | None = Field(None, description="The service account with their rights.")
    tags: Resource[list[str]] | None = Field(None, description="Their network tags, for firewalls.")
    internal_only: Annotated[bool, _INTERNET] | None = Field(
        None, description="If true, they have no address on the internet."
    )


class DataprocClusterConfig(CloudClusterConfig):
    """Google Cloud Dataproc. Needs `airflow-wall[google]`."""

    place: ClassVar[Block] = DataprocPlace
    needs_extra: ClassVar[str] = "google"
    packages: ClassVar[tuple[str, ...]] = ("google.cloud.dataproc_v1",)

    type: Plain[Literal["dataproc"]] = Field(description="The kind of cluster.")
    project: Resource[Filled] | None = Field(None, description="The project; by default that of the connection.")
    impersonate: Identity[Filled] | None = Field(None, description="The service account that starts it.")
    autoscaling: DataprocScaling | None = Field(None, description="The policy for starting and ending workers by load.")
    network: DataprocNetwork | None = Field(None, description="The network of the machines, and their rights.")
    bucket: Resource[Filled] | None = Field(None, description="Bucket for the files of Dataproc's jobs.")
    extra: Annotated[dict[str, Any], without(MANAGED), RUNS_PROGRAMS] = Field(
        {}, description="Further keys of Dataproc's `ClusterConfig`, over those made from the other keys."
    )
