"""Find the pipeline files of a folder."""

from __future__ import annotations

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
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path
