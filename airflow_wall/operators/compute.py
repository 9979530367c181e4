"""Base of the operators that compute: in the worker, or on the cluster that a task of the run started."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import RemoteCluster
from airflow_wall.clusters.remote import job_of
from airflow_wall.operators.base import connection_values, named_connections
from airflow_wall.operators.on_cluster import OnClusterOperator
from airflow_wall.operators.start_cluster import StartClusterOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class ComputeOperator(OnClusterOperator):
    """
    Base of the steps that compute.

    :param cluster: Id of the `StartClusterOperator` task on whose cluster the work is done; by default in the worker.
    """

    def __init__(self, *, cluster: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster

    def compute(self, context: Context, kind: str, **arguments: Any) -> dict[str, Any]:
        """Run a job of this kind where `cluster` says."""
        if self.cluster is None:
            self.operator_extra_links = ()
            return self.do(context, kind, **arguments)
        with self.told(context):
            starter = self.partner(context, "cluster", StartClusterOperator)
            job = self.job(context, kind, arguments)
            job = replace(job, connections=named_connections(list(arguments.values())))
            name, config = starter.name_and_config(context)
            sent = {conn_id: connection_values(conn_id) for conn_id in job.connections}
            with self.opened(context, name, config, starter.site_of(context)) as cluster:
                result = cluster.run(job.to_json(), sent, self.log.info)
        return result

    def forsake(self, context: Context) -> None:
        """End the job of this task, which has been waited for too long."""
        starter = self.partner(context, "cluster", StartClusterOperator)
        name, config = starter.name_and_config(context)
        site = starter.site_of(context)
        cluster = open_cluster(name, config, site)
        job_id = job_of(site.state / "jobs" / name, self.run_of(context).task_id)
        if job_id is not None and isinstance(cluster, RemoteCluster):
            cluster.cancel(job_id)
