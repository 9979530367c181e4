"""Base of the operators that call a cluster, without occupying a worker while they wait for it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Awaited, Cluster, ClusterSite, HandedOver, HandingOver, Shown
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.links import ConsoleLink, LogsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class OnClusterOperator(StepOperator):
    """
    Base of the steps that call a cluster.

    A call of a cluster may be repeated at any time. So instead of waiting for long, the call ends, the triggerer waits,
    and the whole call is repeated. The same code runs if a worker waits, if the triggerer waits, or after a killed try.

    :param deferrable: True if the triggerer waits for clusters in clouds and their jobs, so that no worker does.
    :param look_interval: Time between two checks of the triggerer.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ConsoleLink(), LogsLink())
    links: Mapping[str, str] = {}
    """The known pages of the cluster. The mapping is replaced, never changed."""

    _note: Mapping[str, Any] = {}
    _since: datetime | None = None

    def __init__(
        self, *, deferrable: bool = True, look_interval: timedelta = timedelta(seconds=15), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.look_interval = look_interval

    @contextlib.contextmanager
    def opened(self, context: Context, name: str, config: Mapping[str, Any], site: ClusterSite) -> Iterator[Cluster]:
        """Open the cluster with that name for one call. The task is deferred if the call would wait for long."""
        self._since = self._since or datetime.now(UTC)
        if self.deferrable:
            site = replace(site, clock=HandingOver(site.clock, self._note))
        cluster = open_cluster(name, config, site)
        try:
            yield cluster
        except HandedOver as handed:
            self._defer(context, name, config, site, cluster, handed.awaited)
        self._update_links(cluster, None)

    def resume(
        self,
        context: Context,
        note: Mapping[str, Any],
        since: str,
        links: Mapping[str, str],
        event: Any = None,  # noqa: ARG002  Airflow passes this argument
    ) -> Any:
        """Repeat the call after a wait. The call itself checks the state of the cluster."""
        self._note, self._since, self.links = note, datetime.fromisoformat(since), links
        return self.execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a wait, as Airflow calls it. If the wait timed out, cancel the job and let the task fail."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout):
            self.cancel_awaited(context)
            raise

    def cancel_awaited(self, context: Context) -> None:
        """Cancel the awaited job. Called before the task fails because its wait timed out."""

    def _defer(
        self,
        context: Context,
        name: str,
        config: Mapping[str, Any],
        site: ClusterSite,
        cluster: Cluster,
        awaited: Awaited,
    ) -> None:
        from airflow_wall.triggers.cluster import ClusterTrigger  # imports that only a deferred task needs

        assert self._since is not None
        self._update_links(cluster, awaited.job_id)
        for link in (ConsoleLink(), LogsLink()):  # Airflow itself stores links only when a task has ended
            if link.page in self.links:
                context["ti"].xcom_push(key=link.xcom_key, value=self.links[link.page])
        timeout = None
        if self.execution_timeout is not None:
            timeout = max(self._since + self.execution_timeout - datetime.now(UTC), timedelta(seconds=1))
        self.log.info("the triggerer waits until %s is %s", awaited.job_id or f"cluster {name}", awaited.event.value)
        self.defer(
            trigger=ClusterTrigger.of(name, config, site, awaited, self.look_interval.total_seconds()),
            method_name="resume",
            kwargs={"note": dict(awaited.note), "since": self._since.isoformat(), "links": dict(self.links)},
            timeout=timeout,
        )

    def _update_links(self, cluster: Cluster, job_id: str | None) -> None:
        if isinstance(cluster, Shown):
            self.links = {**self.links, **cluster.links(job_id)}
        if not self.links:
            self.operator_extra_links = ()  # else Airflow stores an empty XCom for each link
