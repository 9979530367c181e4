"""Base of the operators that compute, in the worker or on the cluster that a task of the run started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import RemoteCluster, check_environment
from airflow_wall.clusters.remote import job_of
from airflow_wall.environments.backends import open_environment
from airflow_wall.operators.on_cluster import OnClusterOperator
from airflow_wall.operators.start_cluster import StartClusterOperator
from airflow_wall.settings import SECTION, Settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class ComputeOperator(OnClusterOperator):
    """
    Base of the steps that compute.

    :param cluster: Id of the `StartClusterOperator` task whose cluster runs the job; by default the worker runs it.
    :param requirements: Packages in pip's format; the job runs in a venv with them and the packages that jobs need.
    :param python: Path of the interpreter that runs the job, on a cluster too; with `requirements` also a version.
    :param image: Container image that the job runs in.
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
        """Run a job of this kind, on the cluster if `cluster` is set, else in the worker."""
        environment = self.environment()
        if self.cluster is None:
            self.operator_extra_links = ()
        if self.cluster is None and not environment:
            return self.do(context, kind, **arguments)
        with self.working(context, kind, arguments) as (job, results):
            named = dict.fromkeys((*self.job_connections(), job.run.storage.conn_id))
            job = replace(job, connections=tuple(filter(None, named)), environment=environment)
            sent = {conn_id: asdict(self.connection(conn_id)) for conn_id in job.connections}
            if self.cluster is None:
                results.append(open_environment(environment).run(job.to_json(), sent, self.log.info, limits={}))
                return results[0]
            starter = self.partner(context, "cluster", StartClusterOperator)
            name, config = starter.name_and_config(context)
            with self.opened(context, name, config, starter.site_of(context)) as cluster:
                check_environment(cluster, config["type"], job.to_json())
                results.append(cluster.run(job.to_json(), sent, self.log.info))
        return results[0]

    def job_connections(self) -> tuple[str, ...]:
        """Return the ids of the connections that the job reads. Their values are sent with it."""
        return ()

    def own_types(self) -> list[str]:
        """Return the user's own classes and functions that may be part of a model: patterns such as `models.*`."""
        settings = Settings.from_values(
            {key: conf.get(SECTION, key, fallback=None) for key in ("policy", "allowed_entrypoints")}, {}
        )
        if settings.policy == "open":
            return ["*"]
        return [pattern.replace(":", ".") for pattern in settings.allowed_entrypoints]

    def environment(self) -> dict[str, Any]:
        """Return the `environment` of the job document; empty if the task sets none."""
        keys = {"requirements": self.requirements, "python": self.python, "image": self.image}
        environment: dict[str, Any] = {key: value for key, value in keys.items() if value}
        if not environment:
            return {}
        settings = {key: conf.get(SECTION, key, fallback=None) for key in ("venv_cache", "image_options")}
        return {**environment, **{key: value for key, value in settings.items() if value}}

    def cancel_awaited(self, context: Context) -> None:
        """Cancel the job of this task, whose wait has timed out."""
        starter = self.partner(context, "cluster", StartClusterOperator)
        name, config = starter.name_and_config(context)
        site = starter.site_of(context)
        cluster = open_cluster(name, config, site)
        job_id = job_of(site.state / "jobs" / name, self.run_of(context).task_id)
        if job_id is not None and isinstance(cluster, RemoteCluster):
            cluster.cancel(job_id)
