"""
Real processes, killed at random points; clients look on all the time.

Waits for: processes that are killed at random points, and repeated.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

import pytest
from publish_lab import FILES, ROWS, SEARCH, SQL, Lab, end, scores, start

ALL = {"a": SQL, "b": SEARCH, "c": FILES}
KILLS = 9


def kill_after(process: ForkServerProcess, seconds: float) -> int:
    time.sleep(seconds)
    process.kill()
    code = end(process)
    assert code in (0, -signal.SIGKILL)
    return code


@contextmanager
def onlooker(look: Callable[[], dict[str, int]]) -> Iterator[list[dict[str, int]]]:
    """A client that looks about 100 times a second."""
    seen: list[dict[str, int]] = []
    stop = threading.Event()
    faults: list[BaseException] = []

    def watch() -> None:
        while not stop.is_set():
            try:
                seen.append(look())
            except BaseException as error:
                faults.append(error)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    stop.set()
    thread.join()
    assert not faults, faults
    assert len(seen) > 5


def publish_all(lab: Lab, release: str) -> None:
    lab.open(release)
    for part, to in ALL.items():
        lab.stage(release, part, to, scores(release, rows=ROWS))


@pytest.mark.parametrize("to", [SQL, SEARCH, FILES])
def test_staging_that_is_killed_and_repeated_leaves_the_rows_of_one_try(lab: Lab, to: str) -> None:
    look = {SQL: lab.table, SEARCH: lab.index, FILES: lab.files}[to]
    lab.publish("r1", {"a": to})
    lab.open("r2")
    pick, killed = random.Random(1), 0
    with onlooker(look) as seen:
        for attempt in range(1, 6):
            process = start(lab, "stage", "r2", part="a", to=to, attempt=attempt)
            killed += kill_after(process, pick.uniform(0, 0.05)) == -signal.SIGKILL
        lab.stage("r2", "a", to, scores("r2", rows=ROWS), attempt=9)
        assert look() == {"r1": 50}
        lab.close("r2", "a")
        assert look() == {"r2": ROWS}
    assert killed > 0
    assert all(view in ({"r1": 50}, {"r2": ROWS}) for view in seen)


def test_close_that_is_killed_and_repeated_shows_whole_releases_only(lab: Lab) -> None:
    publish_all(lab, "r1")
    lab.close("r1", *ALL)
    pick, killed, old = random.Random(2), 0, "r1"
    with onlooker(lab.table) as table, onlooker(lab.index) as index, onlooker(lab.files) as files:
        for turn in range(KILLS):
            new = f"again-{turn}"
            lab.releases().open("platform", new, order="2013-07-02", fence=1)
            for part, to in ALL.items():
                lab.stage(new, part, to, scores(new, rows=ROWS))
            killed += kill_after(start(lab, "close", new, expected=list(ALL)), pick.uniform(0, 0.06)) == -signal.SIGKILL
            for view in (lab.table(), lab.index(), lab.files()):
                assert view in ({old: ROWS}, {new: ROWS})
            assert lab.close(new, *ALL)["targets"] == dict.fromkeys(ALL.values(), ROWS)
            assert lab.table() == lab.index() == lab.files() == {new: ROWS}
            old = new
    assert killed >= KILLS // 3
    for view in (*table, *index, *files):
        assert list(view.values()) == [ROWS]


def test_close_that_is_killed_before_any_of_its_steps_is_finished_by_the_next_one(lab: Lab) -> None:
    publish_all(lab, "r1")
    lab.close("r1", *ALL)
    old, steps, code = "r1", 0, -signal.SIGKILL
    retry = True
    while code == -signal.SIGKILL:
        new = f"again-{steps}"
        lab.releases().open("platform", new, order="2013-07-02", fence=1)
        for part, to in ALL.items():
            lab.stage(new, part, to, scores(new, rows=ROWS))
        code = end(start(lab, "close", new, expected=list(ALL), die_after=steps))
        for view in (lab.table(), lab.index(), lab.files()):
            assert view in ({old: ROWS}, {new: ROWS})
        if retry:  # either the retry finishes it, or the next release that opens
            lab.close(new, *ALL)
            assert lab.table() == lab.index() == lab.files() == {new: ROWS}
        else:
            current = lab.releases().open("platform", "next", order="2013-07-03", fence=steps)["current"]
            assert lab.table() == lab.index() == lab.files() == {current: ROWS}
            assert current in (old, new)
            lab.releases().rollback("platform", "next")
            lab.close(new, *ALL)
        assert lab.releases().current("platform")["release"] == new
        old, steps, retry = new, steps + 1, not retry
    assert code == 0
    assert steps > 15


def test_three_processes_stage_three_parts_at_once(lab: Lab) -> None:
    lab.open("r1")
    domains = {"domain_1": "EWR", "domain_2": "JFK", "domain_3": "LGA"}
    processes = [
        start(lab, "stage", "r1", part=f"{part}-{place}", to=to, domain=domain)
        for part, domain in domains.items()
        for place, to in (("persist", SQL), ("index", SEARCH))
    ]
    assert [end(process) for process in processes] == [0] * 6
    result = lab.close("r1", *(f"{part}-{place}" for part in domains for place in ("persist", "index")))
    assert result["targets"] == {SQL: 3 * ROWS, SEARCH: 3 * ROWS}
    assert lab.table() == {"r1": 3 * ROWS}
    assert lab.index("JFK") == {"r1": ROWS}


def test_retry_waits_for_the_zombie_that_still_writes_and_then_replaces_its_rows(lab: Lab) -> None:
    lab.open("r1")
    zombie = start(lab, "stage", "r1", part="a", to=SEARCH, attempt=1)
    lab.stage("r1", "a", SEARCH, scores("r1", rows=60), attempt=2)
    assert end(zombie) in (0, 1)  # it came first, or it was fenced off
    lab.close("r1", "a")
    assert lab.index() == {"r1": 60}
