"""Validate the name of a model."""

from __future__ import annotations

import re

from airflow_wall.errors import ModelError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_model_name(name: str) -> str:
    """
    Return the name if it is a valid name of a model.

    :raises ModelError: the name is not valid.
    """
    if _NAME.fullmatch(name) is None:
        raise ModelError(
            f"`model` must be a name of letters, digits, `.`, `_` and `-`, got `{name}`",
            hint="write, e.g., `platform_scores`",
        )
    return name
