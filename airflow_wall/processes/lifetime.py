"""End processes together, and identify a process even after its pid has been reused."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """
    Ask the kernel to kill this process when its parent ends for any reason.

    This does nothing on other systems than Linux: there the process ends when it next writes to its parent.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def dying_with_parent() -> Callable[[], None] | None:
    """
    Return a `preexec_fn` for a child process that the kernel kills when this process ends for any reason.

    The function runs between fork and exec, so it imports nothing and takes no lock. On other systems than Linux the
    result is None.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the signal was set
            os.kill(os.getpid(), signal.SIGKILL)

    return set_signal


def machine_id() -> str:
    """Return an id of this machine since its last boot. Each container has its own."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return os.uname().nodename
    spaces = (Path(f"/proc/self/ns/{kind}").readlink() for kind in ("net", "pid"))
    return "/".join((boot.read_text().strip(), *map(str, spaces)))


@dataclass(frozen=True)
class Identity:
    """
    One process, as opposed to a later one with the same pid.

    :param machine: Id of the machine it runs on.
    :param pid: Its pid there.
    :param began: Its start time, in clock ticks since boot.
    """

    machine: str
    pid: int
    began: int

    @classmethod
    def of_this_process(cls) -> Identity:
        """Return the identity of the current process."""
        return cls(machine_id(), os.getpid(), _start_ticks(os.getpid()))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Identity:
        """Return the identity from the result of `to_json`."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the identity as JSON values."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """True if the process was started on this machine."""
        return self.machine == machine_id()

    def kill(self, belongs: Callable[[Sequence[str]], bool]) -> None:
        """
        Kill the process with SIGKILL.

        Nothing happens if it has ended (even if its pid has been reused), if it runs on another machine, or if
        `belongs` rejects it.

        :param belongs: Takes the command line and returns True if this is the right process. An identity that was read
            from a document may be that of any process.
        """
        if not self.is_here:
            return
        with contextlib.suppress(OSError):  # it has ended, or it never existed
            handle = os.pidfd_open(self.pid)  # from here on the pid is not reused
            try:
                if _start_ticks(self.pid) == self.began and belongs(_command(self.pid)):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]


def _start_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])
