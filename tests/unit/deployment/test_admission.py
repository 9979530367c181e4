from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from airflow_wall.deployment import admission
from airflow_wall.deployment.admission import Admission, Message, Receive, Send
from airflow_wall.plugin import admission as middlewares


class Slow:
    """An application that answers on a signal, and counts concurrent requests."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.go.wait()
        self.inside -= 1
        await send({"type": "http.response.body", "body": b""})


async def ask(door: Admission, path: str = "/api/v2/dags") -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await door({"type": "http", "path": path}, receive, send)
    status: int = sent[0]["status"]
    return status


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_no_more_are_let_in_at_once_than_there_are_places_and_all_are_answered() -> None:
    async def story() -> None:
        slow = Slow()
        door = Admission(slow, places=3)
        asked = [asyncio.create_task(ask(door)) for _ in range(50)]
        await settled()
        assert (slow.inside, door.others.waiting) == (3, 47)
        slow.go.set()
        assert await asyncio.gather(*asked) == [200] * 50
        assert slow.most == 3

    run(story())


def test_tasks_have_places_of_their_own_and_health_checks_need_none() -> None:
    async def story() -> None:
        slow = Slow()
        door = Admission(slow, places=1)
        asked = [asyncio.create_task(ask(door)) for _ in range(2)]
        await settled()
        assert slow.inside == 1
        asked += [asyncio.create_task(ask(door, "/execution/task-instances/1/heartbeat")) for _ in range(2)]
        asked += [asyncio.create_task(ask(door, "/api/v2/version"))]
        await settled()
        assert slow.inside == 3
        slow.go.set()
        assert await asyncio.gather(*asked) == [200] * 5

    run(story())


def test_request_beyond_the_queue_is_asked_to_retry() -> None:
    async def story() -> None:
        slow = Slow()
        door = Admission(slow, places=1, waiting=2)
        asked = [asyncio.create_task(ask(door)) for _ in range(3)]
        await settled()
        assert await ask(door) == 429
        slow.go.set()
        assert await asyncio.gather(*asked) == [200] * 3

    run(story())


def test_a_stream_gives_its_place_to_the_next_and_gives_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STREAMS", 0.05)

    async def story() -> None:
        slow = Slow()
        door = Admission(slow, places=1)
        asked = [asyncio.create_task(ask(door)) for _ in range(2)]
        await asyncio.sleep(0.02)
        assert slow.inside == 1
        await asyncio.sleep(0.2)
        assert slow.inside == 2
        slow.go.set()
        await asyncio.gather(*asked)
        slow.go.clear()
        again = [asyncio.create_task(ask(door)) for _ in range(2)]
        await settled()
        assert slow.inside == 1
        slow.go.set()
        await asyncio.gather(*again)

    run(story())


def test_one_who_goes_away_while_waiting_takes_no_place() -> None:
    async def story() -> None:
        slow = Slow()
        door = Admission(slow, places=1)
        first, second, third = (asyncio.create_task(ask(door)) for _ in range(3))
        await settled()
        second.cancel()
        await settled()
        assert door.others.waiting == 1
        slow.go.set()
        assert (await first, await third) == (200, 200)

    run(story())


@pytest.mark.parametrize(
    ("size", "overflow", "places"), [(20, 20, 13), (5, 10, 5), (1, 0, 1), (5, -1, None), (0, 10, None)]
)
def test_places_are_a_part_of_the_pool_of_connections(size: int, overflow: int, places: int | None) -> None:
    found = [item["kwargs"]["places"] for item in middlewares(size, overflow)]
    assert found == ([] if places is None else [places])
