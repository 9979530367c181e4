"""Every kind of environment by the key that the YAML asks for it by."""

from __future__ import annotations

import importlib

from airflow_wall.environments.base import Document, Environment, Place
from airflow_wall.errors import EnvironmentFault

ENVIRONMENTS = {
    "image": "airflow_wall.environments.image:ImageEnvironment",
    "requirements": "airflow_wall.environments.venv:VenvEnvironment",
    "python": "airflow_wall.environments.interpreter:PythonEnvironment",
}
"""Class of each kind, imported when it is used. The first whose key is given is meant: a venv may be of a `python`."""


def open_environment(document: Document) -> Environment:
    """
    The environment that a job asks for.

    :param document: `requirements`, `python` or `image`, and what the deployment says: `venv_cache`, the folder of what
        can be made again, and `image_options`.
    :raises EnvironmentFault: the keys do not go together.
    """
    others = [key for key in ("requirements", "python") if document.get(key)]
    if document.get("image") and others:
        raise EnvironmentFault(
            f"`image` cannot stand beside `{others[0]}`", hint="install into the image what the code needs"
        )
    kind = next(key for key in ENVIRONMENTS if document.get(key))
    module, _, name = ENVIRONMENTS[kind].partition(":")
    made: Environment = getattr(importlib.import_module(module), name)(document, Place.of(document.get("venv_cache")))
    return made
