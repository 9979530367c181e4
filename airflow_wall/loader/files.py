"""Read the files that a pipeline names: once, with the pipeline, and only from its own directory."""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.diagnostics.suggestions import nearest
from airflow_wall.loader.faults import Faults
from airflow_wall.text.reader import MAX_BYTES

MAX_TOTAL = 1 << 20
"""The most characters of all files that a pipeline names. The documents of one file share it."""

_MARK = "\ufeff"
"""The byte order mark that some editors put at the beginning of a text."""


@dataclass
class Module:
    """
    The names that a Python module defines.

    :param blocks: Functions and classes that begin a line.
    :param size: Characters of its text.
    :param names: All names that it has after its import; None if it was not parsed.
    :param functions: The public functions at its top.
    :param fault: The fault of its text, if it cannot be parsed.
    """

    blocks: frozenset[str]
    size: int
    names: frozenset[str] | None = None
    functions: tuple[str, ...] = ()
    fault: FaultyText | None = None


@dataclass(frozen=True)
class FunctionSignature:
    """
    The arguments of a function.

    :param names: Arguments that can be given by name.
    :param required: Arguments without a default.
    :param takes_any: True if it has `**kwargs`.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool


class Folder:
    """
    The directory of a pipeline file.

    :param path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = os.path.realpath(path)
        self.texts: dict[str, str] = {}
        """Texts that were read already, by name. The tasks of a matrix share a file."""
        self.size = 0
        """Characters of these texts."""
        self.modules_read: dict[str, Module | None] = {}
        """Python modules that were read already, by file name; None for one that does not exist."""
        self.signatures: dict[str, dict[str, FunctionSignature] | None] = {}
        """Functions of Python modules, by file name; None for a module that does not exist."""

    def read(self, name: str, loc: Loc, faults: Faults, *, is_exact: bool = False) -> str:
        """
        Return the text of the file `name` in the directory; empty, with the fault noted at `loc`, if it cannot be read.

        :param is_exact: True to keep a byte order mark as part of the text and to accept absolute paths, as Airflow's
            own importer does.
        """
        if name in self.texts:
            return self.texts[name]
        if "\0" in name:
            faults.add(loc, "names a file with a NUL character in its name", "remove it")
            return ""
        if "://" in name:
            faults.add(loc, f"names `{name}`, which is not a file in the pipeline's folder", "put a copy of it there")
            return ""
        if (name.startswith("/") and not is_exact) or not self._holds(name):
            faults.add(
                loc, f"names `{name}`, which is outside the folder of the pipeline", f"put the file below `{self.path}`"
            )
            return ""
        try:
            text = _text_of(self._at(name))
            self.size += len(text)
            if self.size > (limit := faults.share(MAX_TOTAL, MAX_BYTES)):
                message = f"names `{name}`, which brings the files of this pipeline above {limit:,} characters"
                faults.stop(loc, message, "shorten them, or split it into several pipelines")
            self.texts[name] = text if is_exact else text.removeprefix(_MARK)
            return self.texts[name]
        except FileNotFoundError:
            faults.add(loc, f"names the file `{name}`, which does not exist", self._missing(self.path / name))
        except UnicodeDecodeError:
            faults.add(loc, f"names the file `{name}`, which is not UTF-8 text", "save it as UTF-8")
        except OSError as error:
            message = f"names the file `{name}`, which cannot be read: {error.strerror or error}"
            faults.add(loc, message, "name a regular UTF-8 file that Airflow's user can read")
        return ""

    def _at(self, name: str) -> str:
        return os.path.join(self.root, name)  # noqa: PTH118  # a `Path` takes as long as opening the file

    def _holds(self, name: str) -> bool:
        parts = name.split("/")
        inner = itertools.accumulate(parts, os.path.join, initial=self.root)
        if ".." not in parts and parts[0] and not any(map(os.path.islink, inner)):
            return True  # without links and `..`, the path cannot lead out of the directory
        return os.path.commonpath((self.root, os.path.realpath(self._at(name)))) == self.root

    def text(self, name: str) -> str | None:
        """Return the text of a file in the directory, or None if it does not exist, is too large or is not UTF-8."""
        try:
            return _text_of(self._at(name)).removeprefix(_MARK) if self._holds(name) else None
        except (OSError, UnicodeDecodeError):
            return None

    def modules(self, folder: str) -> list[str]:
        """Return the names of the Python modules directly in a subdirectory."""
        try:
            with os.scandir(self._at(folder)) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return []
        return sorted(name[:-3] for name in names if name.endswith(".py") and name != "__init__.py")

    def _missing(self, path: Path) -> str:
        near = nearest(path.name, [other.name for other in path.parent.iterdir()]) if path.parent.is_dir() else None
        if near is not None:
            return f"did you mean `{(path.parent / near).relative_to(self.path)}`?"
        if "$" in str(path.relative_to(self.path)) or path.name.startswith("~"):
            return "write the name itself, or `${{ env.NAME }}`: no shell reads this text"
        return f"it is looked for below the pipeline's own folder: create `{path}`"


def _text_of(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, f"it has more than {MAX_BYTES:,} bytes")
    return content.decode()
