"""The kinds of environment, by their key in the YAML."""

from __future__ import annotations

from airflow_wall.environments.base import Document, Environment, EnvironmentCache
from airflow_wall.errors import EnvironmentFault
from airflow_wall.registry import load_object

ENVIRONMENTS = {
    "image": "airflow_wall.environments.image:ImageEnvironment",
    "requirements": "airflow_wall.environments.venv:VenvEnvironment",
    "python": "airflow_wall.environments.interpreter:PythonEnvironment",
}
"""Class of each kind, imported on first use. The first key that is set decides: `requirements` may have a `python`."""


def open_environment(document: Document) -> Environment:
    """
    Return the environment that a job asks for.

    :param document: `requirements`, `python` or `image`, and the deployment's settings `venv_cache`, the cache
        directory, and `image_options`.
    :raises EnvironmentFault: the keys exclude each other.
    """
    others = [key for key in ("requirements", "python") if document.get(key)]
    if document.get("image") and others:
        raise EnvironmentFault(
            f"`image` cannot be combined with `{others[0]}`",
            hint=f"remove `{others[0]}`, and install what the code needs into the image",
        )
    kind = next(key for key in ENVIRONMENTS if document.get(key))
    open_kind = load_object(ENVIRONMENTS[kind])
    environment: Environment = open_kind(document, EnvironmentCache.of(document.get("venv_cache")))
    return environment
