"""Every kind of environment by the key that the YAML asks for it by."""

from __future__ import annotations

import importlib

from airflow_wall.environments.base import Document, Environment, Place

ENVIRONMENTS = {
    "image": "airflow_wall.environments.image:ImageEnvironment",
    "requirements": "airflow_wall.environments.venv:VenvEnvironment",
    "python": "airflow_wall.environments.interpreter:PythonEnvironment",
}
"""Class of each kind, imported when it is used. The first whose key is given is meant: a venv may be of a `python`."""


def open_environment(document: Document) -> Environment:
    """
    The environment that a job asks for.

    :param document: `requirements`, `python` or `image`, and `cache`, the folder of what can be made again.
    """
    kind = next(key for key in ENVIRONMENTS if document.get(key))
    module, _, name = ENVIRONMENTS[kind].partition(":")
    made: Environment = getattr(importlib.import_module(module), name)(document, Place.of(document.get("cache")))
    return made
