"""The steps around compute: `get_credentials`, `start_cluster`, `stop_cluster`, `reap_clusters`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.clusters import Cluster
from airflow_wall.spec.steps.base import Deferrable, Filled, Step, TaskId, Text


class GetCredentials(Step):
    """Prove that a connection can be used, before anything is started that needs it."""

    conn_id: Text = Field(description="The Airflow connection.")
    role: Text | None = Field(
        None, description="AWS: the ARN of a role to assume; Google: a service account to impersonate."
    )
    scopes: list[str] | None = Field(None, description="Google: what the token is for; by default all of its cloud.")
    permissions: list[str] | None = Field(
        None, description="Google: what it must be allowed in the connection's project."
    )


class StartCluster(Step):
    """Have a cluster for this run."""

    cluster: Cluster = Field(description="What to start, by `type` and size.")
    deferrable: Deferrable = True


class StopCluster(Step):
    """Stop the cluster, whatever happened in between."""

    task_fields: ClassVar[dict[str, str]] = {"cluster": "start_cluster"}
    closes: ClassVar[str | None] = "cluster"

    cluster: TaskId | None = Field(None, description="The `start_cluster` task; by default the only one there is.")
    deferrable: Deferrable = True


class Place(SpecModel):
    """Where clusters of one kind are."""

    type: Filled = Field(
        description="The kind of clusters: `emr`, `dataproc`, one of another package; `spark`, `local` of this storage."
    )
    region: Filled | None = Field(None, description="The cloud's region; not for `spark` and `local`.")
    conn_id: Filled | None = Field(None, description="The Airflow connection; by default that of the provider.")
    project: Filled | None = Field(None, description="Dataproc: the project; by default that of the connection.")
    impersonate: Filled | None = Field(None, description="Dataproc: the service account in whose name they are ended.")

    storage: Filled | None = Field(
        None, description="`spark` and `local`: the lake that they have their documents in; by default the task's own."
    )

    @model_validator(mode="after")
    def _in_a_cloud_or_in_the_lake(self) -> Place:
        if self.region is None and self.type not in ("local", "spark"):
            hint = "write e.g. `region: eu-central-1`"
            raise PydanticCustomError("region", "must have `region`, that of the cloud", {"hint": hint})
        return self


class ReapClusters(Step):
    """End the clusters that nobody will stop any more: their run is over, or their time to live is."""

    clusters: list[Place] = Field(min_length=1, description="Where to look, each cloud, region and connection.")
