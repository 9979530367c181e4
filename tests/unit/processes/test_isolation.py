"""Items are answered in child processes, and an item that ends its child is reported."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_wall.processes.isolation import CpuLimitExceeded, Ended, Limits, cpu_limit, run_isolated

LIMITS = Limits(cpu=0.3, wall=20, memory=256 << 20)


def answer(item: Any) -> Any:
    match item:
        case "re":
            re.search("(a+)+$", "a" * 60 + "!")  # holds the interpreter's lock, so that no signal handler runs
        case "memory":
            return len(bytearray(1 << 30))
        case "exit":
            os._exit(7)
        case "raise":
            raise ValueError("broken")
        case "pid":
            return os.getpid()
        case "print":
            sys.stdout.write("printed\n")
            os.write(1, b"written\n")
    return [item]


def test_items_that_end_their_child_are_reported_and_others_continue() -> None:
    items = [1, "re", 2, "memory", "exit", "raise", 3]
    expected = [
        [1],
        Ended("took more than 0.3 s of CPU"),
        [2],
        Ended("took more than 256 MiB of memory"),
        Ended("ended its process with status 7"),
        Ended("raised ValueError: broken"),
        [3],
    ]
    assert run_isolated(answer, items, LIMITS) == expected
    assert run_isolated(answer, items, LIMITS, processes=3) == expected


def test_waiting_is_bounded_too() -> None:
    begun = time.monotonic()
    assert run_isolated(lambda _: time.sleep(60), [1], Limits(wall=0.5)) == [Ended("took more than 0.5 s")]
    assert time.monotonic() - begun < 20


def test_time_is_that_of_one_item() -> None:
    def busy(seconds: float) -> bool:
        begun = time.process_time()
        while time.process_time() - begun < seconds:
            pass
        return True

    assert run_isolated(busy, [0.2] * 5, LIMITS) == [True] * 5


def test_a_child_serves_many_items_unless_each_is_to_have_its_own() -> None:
    assert len(set(run_isolated(answer, ["pid"] * 20, LIMITS))) == 1
    assert len(set(run_isolated(answer, ["pid"] * 20, LIMITS, is_fresh=True))) == 20


def test_large_answers_come_whole() -> None:
    assert run_isolated(lambda size: "a" * size, [3_000_000, 10], LIMITS, processes=2) == ["a" * 3_000_000, "a" * 10]


def test_nothing_is_printed_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    run_isolated(answer, ["print"], LIMITS)
    assert capfd.readouterr().out == ""


def test_no_child_and_no_descriptor_is_left() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    children = _children()
    run_isolated(answer, [1, "re", "exit", 2], LIMITS, processes=2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _children() == children


def _children() -> set[str]:
    """Return the processes that this process has started, those of other tests too."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_without_fork_items_are_answered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    assert run_isolated(answer, ["pid"], LIMITS) == [os.getpid()]


def test_children_end_with_the_caller(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            run_isolated(
                lambda path: Path(path).write_text(str(os.getpid())) and time.sleep(60), [tmp_path / "pid"], LIMITS
            )
        finally:
            os._exit(0)
    deadline = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    served = Path("/proc") / (tmp_path / "pid").read_text()
    while sys.platform == "linux" and served.exists() and "Z" not in (served / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("work", ["re", "python"])
def test_block_is_ended_at_its_limit(work: str) -> None:
    def run() -> None:
        if work == "re":
            answer("re")
        while True:
            pass

    def run_twice() -> None:
        try:
            run()
        except Exception:  # a handler of errors must not keep the block alive
            run()

    with pytest.raises(CpuLimitExceeded, match=r"^took more than 0\.1 s of CPU$"), cpu_limit(0.1):
        run_twice()
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_block_within_its_limit_leaves_no_timer() -> None:
    with cpu_limit(60):
        pass
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_block_outside_the_main_thread_runs_without_limit() -> None:
    ended = []

    def run() -> None:
        with cpu_limit(0.001):
            ended.append(sum(range(300_000)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(ended) == 1


def test_block_leaves_a_profiler_its_signal() -> None:
    def profile(*_: object) -> None:
        pass

    signal.signal(signal.SIGPROF, profile)
    try:
        with cpu_limit(0.001):
            sum(range(300_000))
        assert signal.getsignal(signal.SIGPROF) is profile
    finally:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
