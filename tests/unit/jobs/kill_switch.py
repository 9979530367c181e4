"""Kill this process at a chosen change of the file system."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any


def kill_before_change(last: int, names: Sequence[str] = ("replace", "link", "mkdir")) -> None:
    """Kill this process before its `last`-th change of a name in the file system, by these functions, from now on."""
    left = last
    functions: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in names}

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name, function in functions.items():
        setattr(os, name, counted(function))
