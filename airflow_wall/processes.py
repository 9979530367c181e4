"""Processes that end together."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

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
