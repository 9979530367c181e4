"""`ClusterTrigger`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_wall.clusters.backends import open_cluster
from airflow_wall.clusters.base import Awaited, Clock, Event, Owner, RemoteCluster, Site
from airflow_wall.errors import Interrupted
from airflow_wall.hooks.clients import open_client

PATIENCE = timedelta(minutes=5)
"""How long a cloud may give no answer, before a worker looks itself."""


class ClusterTrigger(BaseTrigger):
    """
    Wait for what a call of a cluster has handed over. Whatever comes of it, the task makes the same call again, and
    tells what it meets: the trigger only says when that is worth while.

    :param name: The cluster's name.
    :param config: What the YAML says under `cluster`.
    :param owner: The fields of its `Owner`.
    :param state: Folder of our own state in the lake. Nothing in it is needed here, so the triggerer need not mount it.
    :param awaited: The fields of the `Awaited`.
    :param poll_interval: Seconds between two looks.
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
        cls, name: str, config: Mapping[str, Any], site: Site, awaited: Awaited, poll_interval: float
    ) -> ClusterTrigger:
        """The trigger that waits for what a call of that cluster handed over."""
        fields = {**asdict(awaited), "event": awaited.event.value, "most": awaited.most.total_seconds()}
        return cls(
            name=name,
            config=_plain(config),
            owner=asdict(site.owner),
            state=str(site.state),
            awaited=fields,
            poll_interval=poll_interval,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow keeps of it: where the class is, and its arguments."""
        names = ("name", "config", "owner", "state", "awaited", "poll_interval")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Give one event, when there is something for the task to do."""
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
            except Exception as error:  # the task meets it too, and tells it
                self.log.warning("cluster %s: %s", self.name, error)
                break
            await self.sleep(self.poll_interval)
        yield TriggerEvent({"name": self.name, "awaited": awaited.event.value})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """End the job that is waited for: somebody has said that its task is over. Of Airflow 3.3 and later."""
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
        site = Site(Path(self.state), Owner(**self.owner), open_client, Clock())
        cluster = open_cluster(self.name, self.config, site)
        assert isinstance(cluster, RemoteCluster), "only such a one hands over"
        return cluster

    def _pending(self) -> bool:
        return self._cluster.pending(self._awaited)


def _plain(value: Any) -> Any:
    """A configuration as JSON values, which is what is kept of a trigger."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return f"{value.total_seconds():.0f}s" if isinstance(value, timedelta) else value
