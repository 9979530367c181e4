"""The user's own classes and functions that may be part of a model: those of the pipeline's folder, if allowed."""

from __future__ import annotations

import importlib

from airflow_wall.environments.user_code import activate
from airflow_wall.models.base import OwnCode
from airflow_wall.settings import matches_any


def is_in_folder(name: str, own: OwnCode) -> bool:
    """Return True if a module of the pipeline's folder can define a name, by its path."""
    parts = name.split(".")
    if own.code is None or not all(part.isidentifier() for part in parts):
        return False
    folders = [own.code.joinpath(*parts[:end]) for end in range(1, len(parts))]
    return any(folder.with_suffix(".py").is_file() or (folder / "__init__.py").is_file() for folder in folders)


def is_allowed(name: str, own: OwnCode) -> bool:
    """Return True if the deployment allows a name, and a module of the pipeline's folder defines it."""
    return is_in_folder(name, own) and matches_any(name, own.types) and _is_defined(name, own)


def _is_defined(name: str, own: OwnCode) -> bool:
    """Return True if a module of the pipeline's folder defines a name itself, and does not only import it."""
    assert own.code is not None, "`is_in_folder` has checked it"
    module, _, attribute = name.rpartition(".")
    activate(own.code)
    try:
        value = getattr(importlib.import_module(module), attribute, None)
    except Exception:  # the module is the user's own, and may raise anything
        return False
    return getattr(value, "__module__", None) == module
