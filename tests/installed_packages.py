"""Packages of other people that a test installs: files, metadata and entry points in a directory of the path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_wall.registry import installed_objects


def write_package(
    folder: Path, name: str, files: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]
) -> None:
    """
    Write an installed package to a directory.

    :param files: Path to text of each module.
    :param entry_points: Group to the objects by name, e.g. `{"airflow_wall.checks": {"even": "acme.even:Even"}}`.
    """
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {reference}\n" for key, reference in objects.items())
        for group, objects in entry_points.items()
    )
    metadata = f"{name}-1.dist-info"
    written = {
        **files,
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{metadata}/entry_points.txt": "".join(groups),
    }
    written[f"{metadata}/RECORD"] = "".join(f"{path},,\n" for path in written)
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Install the packages in a directory into this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        installed_objects.cache_clear()  # installed packages are read once a process
        try:
            yield
        finally:
            installed_objects.cache_clear()
