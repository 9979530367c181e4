"""The job `open_model`: check that a version can be opened where this job runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_wall.job import Env
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import OwnCode


def open_model(
    env: Env, *, model: str, version: int, load: str | None = None, own_types: Sequence[str] = ()
) -> dict[str, Any]:
    """
    Open a version of a model, and return its name and version.

    :param load: The function that opens a model that a function of the user's own saved, `module:function`.
    :param own_types: The user's own classes and functions that may be part of a model: patterns such as `models.*`.
    :raises ModelError: it cannot be opened.
    """
    open_registry(env.run.state).open(model, version, OwnCode(env.run.code, tuple(own_types), load))
    return {"model": model, "version": version}
