"""`ClusterTrigger`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Awaited, Clock, ClusterSite, Event, Owner, RemoteCluster
from airflow_wall.errors import Interrupted
from airflow_wall.hooks.clients import open_client
from airflow_wall.lake.lake import Lake
from airflow_wall.text.reserved import STATE

PATIENCE = timedelta(minutes=5)
"""Longest time without an answer of the cloud before a worker checks itself."""


class ClusterTrigger(BaseTrigger):
    """
    Wait for the event that a call of a cluster has handed over.

    The task then repeats the call and reports its result or error. The trigger only decides when to repeat it.

    :param name: The cluster's name.
    :param config: The `cluster` block of the YAML.
    :param owner: The fields of its `Owner`.
    :param state: Address of our own state in the lake. The trigger does not read it, so the triggerer need not mount
        it.
    :param awaited: The fields of the `Awaited`.
    :param poll_interval: Seconds between two checks.
    """

    clock = Clock()
    sleep = staticmethod(asyncio.sleep)

    def __init__(
        self,
        *,
        name: str,
        config: Mapping[str, Any],
        owner: Mapping[str, str],
        state: str,
        awaited: Mapping[str, Any],
        poll_interval: float = 15.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.config = config
        self.owner = owner
        self.state = state
        self.awaited = awaited
        self.poll_interval = poll_interval

    @classmethod
    def of(
        cls, name: str, config: Mapping[str, Any], site: ClusterSite, awaited: Awaited, poll_interval: float
    ) -> ClusterTrigger:
        """Return the trigger that waits for the event that a call of that cluster handed over."""
        fields = {**asdict(awaited), "event": awaited.event.value, "most": awaited.most.total_seconds()}
        return cls(
            name=name,
            config=_plain(config),
            owner=asdict(site.owner),
            state=f"{site.lake.address}/{STATE}",
            awaited=fields,
            poll_interval=poll_interval,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class and its arguments, as Airflow stores them."""
        names = ("name", "config", "owner", "state", "awaited", "poll_interval")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the task should repeat its call."""
        awaited = self._awaited
        end = self.clock.now() + awaited.most
        silent: datetime | None = None
        while self.clock.now() < end:
            try:
                if not await sync_to_async(self._pending, thread_sensitive=False)():
                    break
                silent = None
            except Interrupted as error:
                silent = silent or self.clock.now()
                self.log.warning("cluster %s: %s", self.name, error)
                if self.clock.now() > silent + PATIENCE:
                    break
            except Exception as error:  # the task gets the same error, and reports it
                self.log.warning("cluster %s: %s", self.name, error)
                break
            await self.sleep(self.poll_interval)
        yield TriggerEvent({"name": self.name, "awaited": awaited.event.value})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel the awaited job, because its task was ended by hand. Airflow 3.3 and later call this."""
        if self._awaited.job_id is not None:
            await sync_to_async(self._cluster.cancel, thread_sensitive=False)(self._awaited.job_id)

    @property
    def _awaited(self) -> Awaited:
        fields = {
            **self.awaited,
            "event": Event(self.awaited["event"]),
            "most": timedelta(seconds=self.awaited["most"]),
        }
        return Awaited(**fields)

    @cached_property
    def _cluster(self) -> RemoteCluster:
        site = ClusterSite(Lake(self.state.removesuffix(f"/{STATE}")), Owner(**self.owner), open_client, Clock())
        cluster = open_cluster(self.name, self.config, site)
        assert isinstance(cluster, RemoteCluster), "only remote clusters hand over a wait"
        return cluster

    def _pending(self) -> bool:
        return self._cluster.pending(self._awaited)


def _plain(value: Any) -> Any:
    """Return a configuration as JSON values, which Airflow can store."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return f"{value.total_seconds():.0f}s" if isinstance(value, timedelta) else value
