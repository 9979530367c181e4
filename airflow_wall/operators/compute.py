"""Base of the operators that compute: in the worker, or on the cluster that a task of the run started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import RemoteCluster, check_environment
from airflow_wall.clusters.remote import job_of
from airflow_wall.environments.backends import open_environment
from airflow_wall.operators.base import connection_values, named_connections
from airflow_wall.operators.on_cluster import OnClusterOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.settings import SECTION

if TYPE_CHECKING:
    from airflow.sdk import Context


class ComputeOperator(OnClusterOperator):
    """
    Base of the steps that compute.

    :param cluster: Id of the `StartClusterOperator` task on whose cluster the work is done; by default in the worker.
    :param requirements: Packages of its own, as pip knows them: it runs in a venv that has them and what jobs need.
    :param python: Path of an interpreter that it runs by, on the cluster too; with `requirements` also a version.
    :param image: Container image that it runs in.
    """

    def __init__(
        self,
        *,
        cluster: str | None = None,
        requirements: Sequence[str] | None = None,
        python: str | None = None,
        image: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster
        self.requirements = requirements
        self.python = python
        self.image = image

    def compute(self, context: Context, kind: str, **arguments: Any) -> dict[str, Any]:
        """Run a job of this kind where `cluster` says."""
        environment = self.environment()
        if self.cluster is None:
            self.operator_extra_links = ()
        if self.cluster is None and not environment:
            return self.do(context, kind, **arguments)
        with self.told(context):
            job = self.job(context, kind, arguments)
            job = replace(job, connections=named_connections(list(arguments.values())), environment=environment)
            sent = {conn_id: connection_values(conn_id) for conn_id in job.connections}
            if self.cluster is None:
                return open_environment(environment).run(job.to_json(), sent, self.log.info, limits={})
            starter = self.partner(context, "cluster", StartClusterOperator)
            name, config = starter.name_and_config(context)
            with self.opened(context, name, config, starter.site_of(context)) as cluster:
                check_environment(cluster, config["type"], job.to_json())
                result = cluster.run(job.to_json(), sent, self.log.info)
        return result

    def environment(self) -> dict[str, Any]:
        """What it is to run in, as jobs have it; empty where it says nothing."""
        given = {"requirements": self.requirements, "python": self.python, "image": self.image}
        given = {key: value for key, value in given.items() if value}
        if not given:
            return {}
        settings = {key: conf.get(SECTION, key, fallback=None) for key in ("venv_cache", "image_options")}
        return {**given, **{key: value for key, value in settings.items() if value}}

    def forsake(self, context: Context) -> None:
        """End the job of this task, which has been waited for too long."""
        starter = self.partner(context, "cluster", StartClusterOperator)
        name, config = starter.name_and_config(context)
        site = starter.site_of(context)
        cluster = open_cluster(name, config, site)
        job_id = job_of(site.state / "jobs" / name, self.run_of(context).task_id)
        if job_id is not None and isinstance(cluster, RemoteCluster):
            cluster.cancel(job_id)
