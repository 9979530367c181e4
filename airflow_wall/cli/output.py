"""How commands talk to the terminal, and which exit code an error is."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from rich.console import Console

from airflow_wall.errors import WallError

USER_FAULT = 1
OUR_FAULT = 3
INTERRUPTED = 130


def out() -> Console:
    """Standard output. Markup in texts is never interpreted: file paths hold brackets and colons."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print to standard error."""
    _err().print(text)


def _err() -> Console:
    return Console(file=sys.stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def report(error: BaseException, console: Console | None = None) -> int:
    """Say an error on standard error and return the exit code it means."""
    console = console or _err()
    if isinstance(error, KeyboardInterrupt):
        console.print("interrupted")
        return INTERRUPTED
    if isinstance(error, WallError):
        text = str(error)
        console.print(text if text.startswith("error: ") else f"error: {text}")
        return USER_FAULT
    console.print("".join(traceback.format_exception(error)).rstrip())
    console.print("\nerror: this is a fault of airflow-wall; please report it with the lines above")
    return OUR_FAULT


def short(path: Path) -> str:
    """The path as one would type it here: below the working directory it is relative."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
