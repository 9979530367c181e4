"""
Keep Airflow's API server responsive when it gets more requests at once than it has database connections.

Each request holds a connection from its first query until the event loop has sent its answer. But the event loop itself
waits for a connection to check the token of the next request. With a thousand requests at once the pool is empty, all
wait for each other, and nothing is answered any more, health checks and heartbeats of tasks included (seen on Airflow
3.3.2). So the number of requests at once is limited to a part of the pool. The others wait without a connection, or get
status 429 when very many wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FREE = ("/api/v2/version", "/execution/health", "/execution/health/ping")
"""Paths that are answered without a database. They never wait, so that a busy server counts as alive."""

STREAMS = 5.0
"""An answer that takes longer than these seconds counts as a stream, such as a followed log, and frees its slot."""

TASKS = "/execution"
"""Path prefix of the API for tasks. It has its own slots, so that users' requests never delay a heartbeat."""


class Limiter:
    """
    Limits the number of requests at once.

    :param places: Number of slots.
    """

    def __init__(self, places: int) -> None:
        self._slots = asyncio.Semaphore(places)
        self.waiting = 0

    async def enter(self) -> Callable[[], None]:
        """Wait for a slot. Return the function that frees it, which may be called more than once."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        held = [True]

        def leave() -> None:
            if held:
                held.clear()
                self._slots.release()

        return leave


class Admission:
    """
    ASGI middleware that limits the number of requests at once.

    :param app: The application behind it.
    :param places: Number of requests at once, separately for tasks and for all others.
    :param waiting: Number of requests that may wait; the next one is answered with 429.
    """

    def __init__(self, app: App, *, places: int, waiting: int = 2000) -> None:
        self.app = app
        self.most = waiting
        self.tasks, self.others = Limiter(places), Limiter(places)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request when a slot is free."""
        if scope["type"] != "http" or scope["path"] in FREE:
            await self.app(scope, receive, send)
            return
        limiter = self.tasks if scope["path"].startswith(TASKS) else self.others
        if limiter.waiting >= self.most:
            await _send_too_many_requests(send)
            return
        leave = await limiter.enter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                asyncio.get_running_loop().call_later(STREAMS, leave)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            leave()


async def _send_too_many_requests(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"10")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"detail": "Too many requests wait. Try again in 10 s."}'})
