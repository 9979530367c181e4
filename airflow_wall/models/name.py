"""The name of a model, as the registry takes it."""

from __future__ import annotations

import re

from airflow_wall.errors import ModelError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_model_name(name: str) -> str:
    """
    Return the name if the registry can keep a model under it.

    :raises ModelError: it cannot.
    """
    if _NAME.fullmatch(name) is None:
        raise ModelError(
            f"`model` must be a name of letters, digits, `.`, `_` and `-`, got `{name}`",
            hint="write, e.g., `platform_scores`",
        )
    return name
