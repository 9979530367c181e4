"""Files that a pipeline names: read once, when the pipeline is, and only from its own folder."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

from airflow_wall.loader.faults import Faults
from airflow_wall.text.faults import Loc, nearest
from airflow_wall.text.reader import MAX_BYTES

_MARK = "\ufeff"
"""The byte order mark that some editors begin a text with."""


class Folder:
    """
    The folder of a pipeline file.

    :param path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = os.path.realpath(path)
        self.texts: dict[str, str] = {}
        """What was read already: the tasks of a matrix name one file."""

    def read(self, name: str, loc: Loc, faults: Faults, *, is_exact: bool = False) -> str:
        """
        The text of the file `name` in the folder; empty, with the fault noted at `loc`, if it cannot be read.

        :param is_exact: Whether a byte order mark at its beginning belongs to the text, and absolute paths are taken,
            as Airflow's own importer has it.
        """
        if name in self.texts:
            return self.texts[name]
        if "\0" in name:
            faults.add(loc, "names a file with a NUL character in its name", "remove it")
            return ""
        if "://" in name:
            faults.add(loc, f"names `{name}`, which is no file of the pipeline's folder", "put a copy of it there")
            return ""
        if (name.startswith("/") and not is_exact) or not self._holds(name):
            faults.add(
                loc, f"names `{name}`, which is outside the folder of the pipeline", f"put the file below `{self.path}`"
            )
            return ""
        try:
            text = _text_of(self._at(name))
            self.texts[name] = text if is_exact else text.removeprefix(_MARK)
            return self.texts[name]
        except FileNotFoundError:
            faults.add(loc, f"names the file `{name}`, which does not exist", self._missing(self.path / name))
        except UnicodeDecodeError:
            faults.add(loc, f"names the file `{name}`, which is not UTF-8 text", "save it as UTF-8")
        except OSError as error:
            faults.add(loc, f"names the file `{name}`, which cannot be read: {error.strerror or error}")
        return ""

    def _at(self, name: str) -> str:
        return os.path.join(self.root, name)  # noqa: PTH118  # a `Path` takes as long as opening the file

    def _holds(self, name: str) -> bool:
        parts = name.split("/")
        inner = itertools.accumulate(parts, os.path.join, initial=self.root)
        if ".." not in parts and parts[0] and not any(map(os.path.islink, inner)):
            return True  # below a folder without links, nothing else leads out of it
        return os.path.commonpath((self.root, os.path.realpath(self._at(name)))) == self.root

    def text(self, name: str) -> str | None:
        """The text of a file in the folder that may be there; None where it is not, or is no text of bounded size."""
        try:
            return _text_of(self._at(name)).removeprefix(_MARK) if self._holds(name) else None
        except (OSError, UnicodeDecodeError):
            return None

    def modules(self, folder: str) -> list[str]:
        """The names of the Python modules right below a folder of this one."""
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
