"""
Call a function for many items in child processes, with limits on time and memory per item.

Reading an untrusted file cannot always be stopped by a thread or a signal handler, because code in C holds the
interpreter's lock. The kernel can always end a child process. A child handles one item after the other, so a thousand
small items cost one fork. If an item ends its child, a new child continues with the next item.

Results of a child are JSON. For results that are not, `cpu_limit` limits the time of a block in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from airflow_wall.processes.lifetime import die_with_parent

_LENGTH = 8
"""Bytes of the length of an answer, and of the number of an item."""

_MAX_ANSWER = 1 << 28

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limits:
    """
    The limits of one item.

    :param cpu: Seconds of CPU.
    :param wall: Seconds of wall-clock time, including waits.
    :param memory: Bytes in addition to the memory that the child starts with.
    """

    cpu: float = 10.0
    wall: float = 120.0
    memory: int = 1 << 30


@dataclass(frozen=True)
class Ended:
    """An item whose child ended before it answered. `reason` continues a sentence, e.g. after `reading it`."""

    reason: str


class CpuLimitExceeded(BaseException):
    """Raised inside a block that exceeds its `cpu_limit`. Not an `Exception`, so no handler of errors catches it."""


@contextlib.contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """
    Limit the CPU time of a block in this process.

    A signal ends Python code and regular expressions. It cannot end a single call of other code in C, so use this only
    for text whose size is bounded. Outside the main thread, or if the process uses SIGPROF itself, nothing is limited.

    :raises CpuLimitExceeded: the block takes more than `seconds` of CPU.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGPROF) is not signal.SIG_DFL:
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise CpuLimitExceeded(f"took more than {seconds:g} s of CPU")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)


@dataclass
class _Worker:
    pid: int
    requests: int
    answers: int
    item: int
    deadline: float
    buffer: bytearray = field(default_factory=bytearray)


def run_isolated(
    function: Callable[[Item], Any],
    items: Sequence[Item],
    limits: Limits,
    *,
    processes: int = 1,
    is_fresh: bool = False,
) -> list[Any]:
    """
    Return the result of `function` for each item, or `Ended` for an item that ended its child.

    The function runs in a child, so it cannot change anything in this process, and its standard output goes to standard
    error. Results are JSON values. On systems without fork, the function is called in this process.

    :param processes: Number of children that share the items.
    :param is_fresh: True if each item gets a child of its own, so that items cannot affect each other.
    """
    if not hasattr(os, "fork"):
        return [json.loads(json.dumps(function(item))) for item in items]
    return _Pool(function, items, limits, is_fresh=is_fresh).run(processes)


class _Pool:
    """The children and their results."""

    def __init__(
        self, function: Callable[[Item], Any], items: Sequence[Item], limits: Limits, *, is_fresh: bool
    ) -> None:
        self.function = function
        self.items = items
        self.limits = limits
        self.is_fresh = is_fresh
        self.results: list[Any] = [None] * len(items)
        self.next = 0
        self.workers: dict[int, _Worker] = {}
        self.selector = selectors.DefaultSelector()

    def run(self, processes: int) -> list[Any]:
        try:
            for _ in range(min(processes, len(self.items))):
                self._start()
            while self.workers:
                now = time.monotonic()
                wait = max(0.0, min(worker.deadline for worker in self.workers.values()) - now)
                for key, _ in self.selector.select(wait):
                    self._read(self.workers[key.fd])
                for worker in list(self.workers.values()):
                    if worker.deadline <= time.monotonic():
                        self._record_end(worker, f"took more than {self.limits.wall:g} s")
        finally:
            for worker in list(self.workers.values()):
                self._end(worker)
            self.selector.close()
        return self.results

    def _start(self) -> None:
        """Start a child for the next item, if there is one."""
        if self.next == len(self.items):
            return
        requests, answers = os.pipe(), os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # about forking with threads: the child needs none of them
            pid = os.fork()
        if pid == 0:
            _serve(self, requests[0], answers[1])
        os.close(requests[0])
        os.close(answers[1])
        worker = _Worker(pid, requests[1], answers[0], -1, 0.0)
        self.workers[worker.answers] = worker
        self.selector.register(worker.answers, selectors.EVENT_READ)
        self._send_next(worker)

    def _send_next(self, worker: _Worker) -> None:
        """Send the next item to a child."""
        worker.item, worker.deadline = self.next, time.monotonic() + self.limits.wall
        self.next += 1
        with contextlib.suppress(BrokenPipeError):  # it has ended: `_read` handles this
            os.write(worker.requests, worker.item.to_bytes(_LENGTH, "big"))

    def _read(self, worker: _Worker) -> None:
        data = os.read(worker.answers, 1 << 20)
        if not data:
            self._record_end(worker, None)
            return
        worker.buffer += data
        length = int.from_bytes(worker.buffer[:_LENGTH], "big") if len(worker.buffer) >= _LENGTH else None
        if length is None or (len(worker.buffer) < _LENGTH + length <= _MAX_ANSWER):
            return
        try:
            answer = json.loads(worker.buffer[_LENGTH : _LENGTH + length])
            self.results[worker.item] = Ended(answer["ended"]) if "ended" in answer else answer["value"]
        except (ValueError, TypeError, KeyError, RecursionError):  # imported code wrote into the pipe
            self._record_end(worker, "gave an answer that cannot be read")
            return
        worker.buffer.clear()
        if self.is_fresh or self.next == len(self.items):
            self._end(worker)
            self._start()
        else:
            self._send_next(worker)

    def _record_end(self, worker: _Worker, reason: str | None) -> None:
        """Record that an item ended its child, and continue with the next item in a new child."""
        status = self._end(worker, kill=reason is not None)
        self.results[worker.item] = Ended(reason or self._reason(status))
        self._start()

    def _reason(self, status: int) -> str:
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU):
                return f"took more than {self.limits.cpu:g} s of CPU"
            return f"ended its process by the signal {signal.Signals(os.WTERMSIG(status)).name}"
        return f"ended its process with status {os.waitstatus_to_exitcode(status)}"

    def _end(self, worker: _Worker, *, kill: bool = True) -> int:
        """End a child, and return its status."""
        del self.workers[worker.answers]
        self.selector.unregister(worker.answers)
        os.close(worker.requests)
        os.close(worker.answers)
        if kill:
            os.kill(worker.pid, signal.SIGKILL)
        return os.waitpid(worker.pid, 0)[1]


# --- in the child


def _serve(pool: _Pool, requests: int, answers: int) -> NoReturn:
    """Answer requests until the parent closes the pipe."""
    try:
        _set_up(pool)
        if pool.is_fresh:  # code of others must not write to open files of the caller
            low, high = sorted((requests, answers))
            os.closerange(3, low)
            os.closerange(low + 1, high)
            os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
        while number := os.read(requests, _LENGTH):
            item = pool.items[int.from_bytes(number, "big")]
            answer = json.dumps(_answer(pool, item)).encode()
            sys.stderr.flush()
            data = memoryview(len(answer).to_bytes(_LENGTH, "big") + answer)
            while data:
                data = data[os.write(answers, data) :]
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _set_up(pool: _Pool) -> None:
    for worker in pool.workers.values():  # of other children
        os.close(worker.requests)
        os.close(worker.answers)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles ^C
    for number in (signal.SIGPROF, signal.SIGXCPU, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = used + pool.limits.memory
        if most == resource.RLIM_INFINITY or limit < most:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _answer(pool: _Pool, item: Any) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, pool.limits.cpu)  # the signal ends the process, even inside `re`
    try:
        return {"value": pool.function(item)}
    except MemoryError:
        return {"ended": f"took more than {pool.limits.memory >> 20} MiB of memory"}
    except BaseException as error:
        lines = "".join(traceback.format_exception_only(error)).strip()
        return {"ended": f"raised {lines}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
