"""The target `webhook`: an endpoint that gets the rows by HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow_wall.publish.targets.base import Target

if TYPE_CHECKING:
    from airflow_wall.publish.base import ReleaseSite, TargetWriter


class WebhookTarget(Target):
    """The endpoint of a connection of type `http`."""

    form: ClassVar[str] = "webhook://CONN"

    def open(self, site: ReleaseSite) -> TargetWriter:
        """See `Target.open`."""
        from airflow_wall.publish.webhook import WebhookWriter

        return WebhookWriter(self, site)
