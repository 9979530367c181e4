"""Processes that end together, and how one is told from another that got its number later."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """
    Have the kernel kill this process when the one that started it ends, however that ends.

    Where the kernel is not Linux this does nothing: the process then ends at its next word to its parent.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def dying_with_parent() -> Callable[[], None] | None:
    """
    A `preexec_fn` for a child of this process: the kernel kills it when this process ends, however that ends.

    It runs between fork and exec, so it imports nothing and takes no lock. None where the kernel is not Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), signal.SIGKILL)

    return set_signal


def machine() -> str:
    """What tells this machine, since it was started, from all others; of containers, each is one."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return os.uname().nodename
    spaces = (Path(f"/proc/self/ns/{kind}").readlink() for kind in ("net", "pid"))
    return "/".join((boot.read_text().strip(), *map(str, spaces)))


@dataclass(frozen=True)
class Identity:
    """
    One process, and no other that gets its number when it has ended.

    :param machine: Where it runs.
    :param pid: Its number there.
    :param began: When it began, in ticks since the machine's start.
    """

    machine: str
    pid: int
    began: int

    @classmethod
    def of_this_process(cls) -> Identity:
        """This one."""
        return cls(machine(), os.getpid(), _began(os.getpid()))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Identity:
        """What `to_json` gave."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """It as JSON values."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """Whether it was begun on this machine."""
        return self.machine == machine()

    def kill(self) -> None:
        """End it at once. Nothing happens where it has ended, whoever has its number now, or is on another machine."""
        if not self.is_here:
            return
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            handle = os.pidfd_open(self.pid)  # from here on the number is not given to another
            try:
                if _began(self.pid) == self.began:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def _began(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])
