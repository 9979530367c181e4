"""The kinds of model registries by name."""

from __future__ import annotations

from airflow_wall.lake.lake import Lake
from airflow_wall.models.base import Registry, RegistryFactory
from airflow_wall.models.registry import FileRegistry

REGISTRIES: dict[str, RegistryFactory] = {"file": FileRegistry}


def open_registry(lake: Lake, kind: str = "file") -> Registry:
    """
    Return the model registry of a lake.

    :param lake: The lake.
    """
    return REGISTRIES[kind](lake)
