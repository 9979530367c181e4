"""
Keeps Airflow's API server from standing still when more requests come at once than it has database connections.

Each request holds a connection from its first query until its answer is sent, and it is the event loop that sends. But
the event loop also asks for a connection itself, to check the token of the next request, and waits for it: with a
thousand requests at once the pool is empty, everybody waits for everybody, and nothing is answered any more, health
checks and heartbeats of tasks included (seen on Airflow 3.3.2). So no more requests are let in at once than a part of
the pool. The others wait, without a connection, or are told to come again when very many wait.
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
"""Answers without a database; never kept waiting, so that a busy server counts as alive."""

STREAMS = 5.0
"""Seconds after its beginning from which an answer counts as a stream, such as a log that is followed: others go in."""

TASKS = "/execution"
"""What tasks speak to. It has places of its own: people's requests never keep a heartbeat waiting."""


class Door:
    """
    Lets in so many at once.

    :param places: How many.
    """

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self.waiting = 0

    async def enter(self) -> Callable[[], None]:
        """Wait for a place; the function to give it back with, which may be called more than once."""
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        inside = [True]

        def leave() -> None:
            if inside:
                inside.clear()
                self._places.release()

        return leave


class Admission:
    """
    An ASGI middleware.

    :param app: What answers.
    :param places: How many requests are answered at once: of tasks, and of all others.
    :param waiting: How many may wait; the next is answered with 429.
    """

    def __init__(self, app: App, *, places: int, waiting: int = 2000) -> None:
        self.app = app
        self.most = waiting
        self.tasks, self.others = Door(places), Door(places)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request when it is its turn."""
        if scope["type"] != "http" or scope["path"] in FREE:
            await self.app(scope, receive, send)
            return
        door = self.tasks if scope["path"].startswith(TASKS) else self.others
        if door.waiting >= self.most:
            await _come_again(send)
            return
        leave = await door.enter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                asyncio.get_running_loop().call_later(STREAMS, leave)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            leave()


async def _come_again(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"10")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"detail": "Too many requests wait. Come again in 10 s."}'})
