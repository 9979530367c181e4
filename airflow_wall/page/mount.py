"""The application of the page, imported when the first request comes: other components of Airflow need none of it."""

from __future__ import annotations

from typing import Any


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Pass a request to the application, as ASGI."""
    from airflow_wall.page.app import app  # imports the API server's own modules

    await app(scope, receive, send)
