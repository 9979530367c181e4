"""Find the pipeline files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".yaml", ".yml")


def yaml_files(folder: Path) -> Iterator[Path]:
    """
    Every YAML file below `folder`, sorted, so that nothing depends on the order of the disk.

    Hidden files and folders are passed over. `folder` may also be one file.
    """
    if folder.is_file():
        yield folder
        return
    yield from sorted(Path(path) for path in _below(folder))


def _below(folder: str | Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif entry.name.endswith(SUFFIXES) and entry.is_file():
                yield entry.path
