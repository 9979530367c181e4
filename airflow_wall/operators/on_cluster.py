"""Base of the operators that ask something of a cluster, and hold no worker while they wait for it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Awaited, Cluster, HandedOver, HandingOver, Shown, Site
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.links import ConsoleLink, LogsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class OnClusterOperator(StepOperator):
    """
    Base of the steps that ask something of a cluster.

    A call of a cluster may be repeated at any time. So where it would have to wait long, it ends instead, the triggerer
    waits, and the whole call is made again: there is one path, whether a worker waits, the triggerer does, or a try was
    killed.

    :param deferrable: Whether the triggerer waits for clusters of clouds and their jobs, so that no worker is held.
    :param look_interval: How long between two looks of the triggerer.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ConsoleLink(), LogsLink())
    links: Mapping[str, str] = {}
    """Pages of the cluster, as far as the task has come; replaced, never changed."""

    _note: Mapping[str, Any] = {}
    _since: datetime | None = None

    def __init__(
        self, *, deferrable: bool = True, look_interval: timedelta = timedelta(seconds=15), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.look_interval = look_interval

    @contextlib.contextmanager
    def opened(self, context: Context, name: str, config: Mapping[str, Any], site: Site) -> Iterator[Cluster]:
        """The cluster of that name, to make one call of. The task is deferred where the call would wait long."""
        self._since = self._since or datetime.now(UTC)
        if self.deferrable:
            site = replace(site, clock=HandingOver(site.clock, self._note))
        cluster = open_cluster(name, config, site)
        try:
            yield cluster
        except HandedOver as handed:
            self._defer(context, name, config, site, cluster, handed.awaited)
        self._link(cluster, None)

    def resume(
        self,
        context: Context,
        note: Mapping[str, Any],
        since: str,
        links: Mapping[str, str],
        event: Any = None,  # noqa: ARG002  Airflow passes it
    ) -> Any:
        """Make the call again, now that there is something to do. What there is it sees for itself."""
        self._note, self._since, self.links = note, datetime.fromisoformat(since), links
        return self.execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """What Airflow calls after a wait; `forsake` where the task is to fail, as its time is over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout):
            self.forsake(context)
            raise

    def forsake(self, context: Context) -> None:
        """End what was waited for: the task fails without having been told of its end."""

    def _defer(
        self, context: Context, name: str, config: Mapping[str, Any], site: Site, cluster: Cluster, awaited: Awaited
    ) -> None:
        from airflow_wall.triggers.cluster import ClusterTrigger  # brings what only a deferred task needs

        assert self._since is not None
        self._link(cluster, awaited.job_id)
        for link in (ConsoleLink(), LogsLink()):  # Airflow itself keeps them only when a task has ended
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

    def _link(self, cluster: Cluster, job_id: str | None) -> None:
        if isinstance(cluster, Shown):
            self.links = {**self.links, **cluster.links(job_id)}
        if not self.links:
            self.operator_extra_links = ()  # else Airflow keeps an XCom for each, and there is nothing in it
