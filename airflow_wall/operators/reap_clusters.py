"""`ReapClustersOperator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_wall.clusters.backends import open_fleet
from airflow_wall.clusters.base import Found, Site
from airflow_wall.clusters.reaper import RunState, why_end
from airflow_wall.errors import Interrupted, WallError
from airflow_wall.operators.base import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_OVER = frozenset(("success", "failed"))


class ReapClustersOperator(StepOperator):
    """
    End the clusters of this Airflow that nobody will stop any more: their run is over or deleted, or their lease is.

    What a run does is asked of Airflow, by this task's own right. Where Airflow gives no answer, a cluster is left
    until its lease ends. Clusters of another Airflow (`[wall] deployment`) are left to that one.

    :param clusters: Where to look: for each cloud, region and connection what `StartClusterOperator` takes, and for
        clusters that are documents in another lake its `storage`. (templated)
    """

    template_fields: Sequence[str] = ("clusters",)
    ui_color = "#f4cccc"

    def __init__(self, *, clusters: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clusters = clusters

    def execute(self, context: Context) -> dict[str, Any]:
        """Return which clusters were ended, with why, and how many were left."""
        site = self.site_of(context)
        reaped: list[dict[str, str]] = []
        faults: list[str] = []
        left = 0
        with self.told(context):
            for config in self.clusters:
                try:
                    fleet = open_fleet(config, self._site_in(context, site, config.get("storage")))
                    listed = [each for each in fleet.list() if self._is_ours(each, site.owner.deployment)]
                except WallError as error:  # the other clouds are still swept
                    faults.append(str(error))
                    continue
                for found in listed:
                    why = why_end(found, self._run_state(context, found), site.clock.now())
                    if why is None:
                        left += 1
                        continue
                    try:
                        fleet.end(found)
                    except WallError as error:
                        faults.append(str(error))
                        continue
                    self.log.warning("cluster %s (%s) is ended: %s", found.name, found.id, why)
                    reaped.append({"name": found.name, "id": found.id, "why": why})
            if faults:
                raise Interrupted("; ".join(faults))
        return {"reaped": reaped, "left": left}

    def _site_in(self, context: Context, site: Site, storage: str | None) -> Site:
        """Where the clusters of that lake are used from."""
        run = self.run_of(context)
        return site if storage is None else replace(site, state=replace(run, storage=run.project / storage).state)

    def _is_ours(self, found: Found, deployment: str) -> bool:
        return found.owner is not None and found.owner.deployment == deployment

    def _run_state(self, context: Context, found: Found) -> RunState:
        """What Airflow says of the run of a cluster; an error of it is no answer."""
        ti = context["ti"]
        owner = found.owner
        assert owner is not None, "it is ours"
        if not (owner.pipeline and owner.run_id):  # a tag of EMR holds no more than 256 characters
            return RunState.UNKNOWN
        try:
            if not ti.get_dr_count(dag_id=owner.pipeline, run_ids=[owner.run_id]):
                return RunState.MISSING
            state = ti.get_dagrun_state(dag_id=owner.pipeline, run_id=owner.run_id)
        except Exception as error:
            self.log.warning("cluster %s: the state of run %s is not known: %s", found.name, owner.run_id, error)
            return RunState.UNKNOWN
        return RunState.OVER if state in _OVER else RunState.UNDER_WAY
