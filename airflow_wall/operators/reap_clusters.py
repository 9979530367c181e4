"""`ReapClustersOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_wall.clusters.backends import open_fleet
from airflow_wall.clusters.base import ClusterSite, FoundCluster
from airflow_wall.clusters.reaper import RunState, why_end
from airflow_wall.errors import Interrupted, WallError
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_OVER = frozenset(("success", "failed"))


class ReapClustersOperator(StepOperator):
    """
    End the clusters of this Airflow deployment that no task will stop: their run has ended, was deleted, or their lease
    is over.

    The task asks Airflow for the state of a run with its own token. If Airflow does not answer, a cluster stays until
    its lease ends. Clusters of another deployment (`[wall] deployment`) are not touched.

    :param clusters: Clouds, regions and connections to check, each with the keys of `StartClusterOperator`; for
        clusters that are documents in another lake with its `storage`. (templated)
    """

    template_fields: Sequence[str] = ("clusters",)
    ui_color = "#f4cccc"

    def __init__(self, *, clusters: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clusters = clusters

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the ended clusters with the reasons, and the number of clusters that remain."""
        site = self.site_of(context)
        reaped: list[dict[str, str]] = []
        faults: list[str] = []
        left = 0
        with self.error_context(context):
            for config in self.clusters:
                try:
                    fleet = open_fleet(config, self._site_in(context, site, config.get("storage")))
                    ours = [cluster for cluster in fleet.list() if self._is_ours(cluster, site.owner.deployment)]
                except WallError as error:  # the other clouds are still swept
                    faults.append(str(error))
                    continue
                for cluster in ours:
                    why = why_end(cluster, self._run_state(context, cluster), site.clock.now())
                    if why is None:
                        left += 1
                        continue
                    try:
                        fleet.end(cluster)
                    except WallError as error:
                        faults.append(str(error))
                        continue
                    self.log.warning("cluster %s (%s) is ended: %s", cluster.name, cluster.id, why)
                    reaped.append({"name": cluster.name, "id": cluster.id, "why": why})
            if faults:
                raise Interrupted("; ".join(faults))
        return {"reaped": reaped, "left": left}

    def _site_in(self, context: Context, site: ClusterSite, storage: str | None) -> ClusterSite:
        """Return the site of the clusters in that lake."""
        run = self.run_of(context)
        return site if storage is None else replace(site, lake=Lake(address_of(storage, run.project), self.connection))

    def _is_ours(self, cluster: FoundCluster, deployment: str) -> bool:
        return cluster.owner is not None and cluster.owner.deployment == deployment

    def _run_state(self, context: Context, cluster: FoundCluster) -> RunState:
        """Return the state of a cluster's run in Airflow; unknown if Airflow raises an error."""
        ti = context["ti"]
        owner = cluster.owner
        assert owner is not None, "only clusters of this deployment are checked"
        if not (owner.pipeline and owner.run_id):  # a tag of EMR holds no more than 256 characters
            return RunState.UNKNOWN
        try:
            if not ti.get_dr_count(dag_id=owner.pipeline, run_ids=[owner.run_id]):
                return RunState.MISSING
            state = ti.get_dagrun_state(dag_id=owner.pipeline, run_id=owner.run_id)
        except Exception as error:
            self.log.warning("cluster %s: the state of run %s is not known: %s", cluster.name, owner.run_id, error)
            return RunState.UNKNOWN
        return RunState.OVER if state in _OVER else RunState.UNDER_WAY
