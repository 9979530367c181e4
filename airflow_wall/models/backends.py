"""The table of registries: a name, and what opens it."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.models.base import Registry, RegistryFactory
from airflow_wall.models.registry import FileRegistry

REGISTRIES: dict[str, RegistryFactory] = {"file": FileRegistry}


def open_registry(state: Path, kind: str = "file") -> Registry:
    """
    The registry of a lake.

    :param state: Folder of our own state in the lake (`Run.state`); models lie in `models/` below it.
    """
    return REGISTRIES[kind](state / "models")
