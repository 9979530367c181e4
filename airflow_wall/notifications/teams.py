"""`TeamsNotifier`: a message to a channel of Microsoft Teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
from airflow.sdk import BaseNotifier, Connection

from airflow_wall.errors import ConnectionFault, Interrupted

_SECONDS = 20.0
_MOST_LINES = 40
_COLOURS = {"failure": "Attention", "deadline": "Warning", "retry": "Warning", "success": "Good"}

CARD = "application/vnd.microsoft.card.adaptive"
"""Type of the content of a message that holds a card."""


class TeamsNotifier(BaseNotifier):
    """
    Post an Adaptive Card to a workflow of Teams: the template *Post to a channel when a webhook request is received*.

    :param conn_id: A connection of type `http` with the address of the workflow in `host`. If its `password` is set, it
        is the value of `sig`, which the address then lacks.
    :param title: The first line of the card. (templated)
    :param text: The lines below. (templated)
    :param url: The page that its button opens; empty for none. (templated)
    :param event: The event, which gives the first line its colour. (templated)
    """

    template_fields: Sequence[str] = ("title", "text", "url", "event")

    def __init__(
        self, *, conn_id: str, title: str, text: str, url: str = "", event: str = "failure", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.title = title
        self.text = text
        self.url = url
        self.event = event

    def notify(self, context: Any) -> None:  # noqa: ARG002
        """
        Post the card.

        :raises ConnectionFault: the connection has no address, or the workflow refused the card.
        :raises Interrupted: the workflow does not answer.
        """
        try:
            answer = httpx.post(
                self._address(), json=message(self.title, self.text, self.url, self.event), timeout=_SECONDS
            )
        except httpx.HTTPError as error:
            # The error may quote the address, whose signature is a secret.
            raise Interrupted(
                f"the workflow of connection `{self.conn_id}` does not answer: {type(error).__name__}"
            ) from None
        if not answer.is_success:
            raise ConnectionFault(
                f"the workflow of connection `{self.conn_id}` refused the card: status {answer.status_code}",
                hint="copy its address anew into `host` of the connection; old connectors of Office 365 are retired",
            )

    def _address(self) -> str:
        connection = Connection.get(self.conn_id)
        host = connection.host or ""
        if not host:
            raise ConnectionFault(
                f"connection `{self.conn_id}` has no `host`", hint="set it to the address of the workflow"
            )
        address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
        if connection.port and "://" not in host:
            address = f"{address}:{connection.port}"
        if connection.password:
            address += f"{'&' if '?' in address else '?'}sig={quote(connection.password, safe='')}"
        return address


def message(title: str, text: str, url: str, event: str) -> dict[str, Any]:
    """Return the body of the request: a message with one Adaptive Card of version 1.4."""
    lines = [line for line in text.splitlines() if line not in (title, url)][:_MOST_LINES]
    head = {
        "type": "TextBlock",
        "text": title,
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
        "color": _COLOURS.get(event, "Default"),
    }
    body = [{"type": "TextBlock", "text": line, "wrap": True, "spacing": "Small"} for line in lines]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [head, *body],
    }
    if url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Airflow", "url": url}]
    return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}
