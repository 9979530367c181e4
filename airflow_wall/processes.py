"""Processes that end together."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """
    Have the kernel kill this process when the one that started it ends, however that ends.

    Where the kernel is not Linux this does nothing: the process then ends at its next word to its parent.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
