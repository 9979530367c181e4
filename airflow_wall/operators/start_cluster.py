"""`StartClusterOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_wall.clusters.base import cluster_name
from airflow_wall.operators.on_cluster import OnClusterOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class StartClusterOperator(OnClusterOperator):
    """
    Start the cluster of this run: adopt the existing one with its name, or create it.

    :param cluster: The `type` of the cluster, and the keys of that type. (templated)
    """

    template_fields: Sequence[str] = ("cluster",)
    ui_color = "#d9ead3"

    def __init__(self, *, cluster: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the `type`, `name` and size of the cluster."""
        with self.error_context(context):
            name, config = self.name_and_config(context)
            with self.opened(context, name, config, self.site_of(context)) as cluster:
                described = cluster.ensure()
        self.log.info("cluster %s (%s) is running", name, described["type"])
        return described

    def name_and_config(self, context: Context) -> tuple[str, Mapping[str, Any]]:
        """Return the name and configuration of this run's cluster, for this task and for all tasks that use it."""
        config = self.value_of(self, "cluster", context)
        return cluster_name(self.site_of(context).owner, self.task_id), config
