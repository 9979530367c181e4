"""The kinds of model registries by name."""

from __future__ import annotations

from pathlib import Path

from airflow_wall.models.base import Registry, RegistryFactory
from airflow_wall.models.registry import FileRegistry

REGISTRIES: dict[str, RegistryFactory] = {"file": FileRegistry}


def open_registry(state: Path, kind: str = "file") -> Registry:
    """
    Return the model registry of a lake.

    :param state: Directory of our own state in the lake (`Run.state`). Models are in `models/` below it.
    """
    return REGISTRIES[kind](state / "models")
