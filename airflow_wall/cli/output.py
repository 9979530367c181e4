"""Terminal output of commands, and the exit codes of errors."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

import airflow_wall
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.diagnostics.printable import printable, printable_line
from airflow_wall.errors import WallError
from airflow_wall.lake.lake import Lake
from airflow_wall.redaction import hide_logins
from airflow_wall.settings import Settings

USER_FAULT = 1
USAGE = 2
OUR_FAULT = 3
NOTHING_TO_DO = 4
INTERRUPTED = 130


class Verbosity(IntEnum):
    """The amount of output: of `-q`, of neither, of `-v`."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


_verbosity = Verbosity.NORMAL


def set_verbosity(verbosity: Verbosity) -> None:
    """Set the verbosity of this process."""
    global _verbosity
    _verbosity = verbosity


def is_quiet() -> bool:
    """Return True if only faults and results are printed."""
    return _verbosity is Verbosity.QUIET


def is_verbose() -> bool:
    """Return True if details are printed, too."""
    return _verbosity is Verbosity.VERBOSE


class PlainConsole(Console):
    """
    A console that prints texts as they are, with unsafe characters escaped.

    Markup is never interpreted, because file paths contain brackets and colons. Only our own renderables have colours.

    :param file: The stream to write to; None for standard output.
    :param only_faults: True to print only texts that begin with `error` or `warning`.
    """

    def __init__(self, file: TextIO | None = None, *, only_faults: bool = False) -> None:
        super().__init__(file=file, markup=False, emoji=False, highlight=False, soft_wrap=True)
        self.only_faults = only_faults

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see `rich.console.Console.print`."""
        if self.only_faults and not str(objects[0] if objects else "").lstrip().startswith(("error", "warning")):
            return
        super().print(*(printable(item) if isinstance(item, str) else item for item in objects), **options)


def out() -> Console:
    """Return a console of standard output."""
    return PlainConsole()


def say(text: str) -> None:
    """Print to standard error."""
    _err().print(text)


def note(text: str) -> None:
    """Print a remark to standard error, unless the command is quiet."""
    if not is_quiet():
        _err().print(text)


def _err() -> Console:
    return PlainConsole(sys.stderr)


def report(error: BaseException, console: Console | None = None) -> int:
    """Print an error to standard error and return its exit code."""
    console = console or _err()
    if isinstance(error, KeyboardInterrupt):
        console.print("interrupted")
        return INTERRUPTED
    if isinstance(error, OSError) and not isinstance(error, WallError):
        error = _fault_of_file(error) or error
    if isinstance(error, WallError):
        text = str(error)
        console.print(text if text.startswith("error: ") else f"error: {text}")
        return USER_FAULT
    console.print(hide_logins("".join(traceback.format_exception(error)).rstrip()))
    console.print("\nerror: this is a fault of airflow-wall; please report it with the lines above")
    return OUR_FAULT


def _fault_of_file(error: OSError) -> WallError | None:
    """Return the fault of a user's file that the system could not access; None for any other error."""
    if error.errno == errno.ENOSPC:
        return WallError(file_error(error), hint="free some space")
    if error.filename is None or not isinstance(error.filename, str | bytes):
        return None
    path = Path(os.fsdecode(error.filename))
    if path.absolute().is_relative_to(Path(airflow_wall.__file__).parent):
        return None
    return WallError(file_error(error), hint="correct the path, or the permissions of the file and its folder")


def file_error(error: OSError) -> str:
    """Return the system's error for a file, in one sentence."""
    reason = (error.strerror or type(error).__name__).lower()
    return f"`{printable_line(os.fsdecode(error.filename))}`: {reason}" if error.filename is not None else reason


def write_file(path: Path, text: str) -> None:
    """
    Write a file that the user named.

    :raises WallError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "create the directory first" if not path.parent.is_dir() else "name a file that can be written"
        raise WallError(
            f"`{short(path)}` cannot be written: {(error.strerror or str(error)).lower()}", hint=hint
        ) from error


def no_pipeline(file: Path, settings: Settings) -> WallError:
    """Return the error for a file without a pipeline."""
    from airflow_wall.loader.discover import FileKind
    from airflow_wall.loader.other_files import other_file  # few files need it

    other = other_file(file, settings)
    if other.kind is FileKind.OTHER:
        return FaultyText(other.faults, "")
    hint = f"name the pipeline that it belongs to; `airflow-wall validate {printable_line(str(file))}` checks it"
    return WallError(f"`{printable_line(str(file))}` is a {other.kind}, not a pipeline", hint=hint)


def short(path: Path | Lake | str) -> str:
    """Return a path or the address of a lake on one line, a path relative if it is below the working directory."""
    try:
        return printable_line(str(Path(str(path)).relative_to(Path.cwd())))
    except ValueError:
        return printable_line(str(path))
