"""The job `promote_model`: make a version the champion that `retrain` has compared and held back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_wall.errors import Interrupted, ModelError
from airflow_wall.job import Env
from airflow_wall.models.backends import open_registry
from airflow_wall.models.base import Decision

log = logging.getLogger(__name__)


def promote_model(
    env: Env, *, model: str, version: int, decision: Mapping[str, Any], expected: int | None = None
) -> dict[str, Any]:
    """
    Make a version the champion, if the champion is still the one that it was compared with.

    :param decision: The comparison, as the values of a `Decision`.
    :param expected: The champion at that time; None if there was none.
    :raises ModelError: another version has become the champion since.
    """
    registry = open_registry(env.run.storage)
    champion = registry.champion(model)
    if champion is None or champion.version != version:  # else an earlier try of this task has promoted it
        try:
            registry.promote(model, version, Decision(**decision), expected=expected)
        except Interrupted as error:
            raise ModelError(
                f"version {version} of model `{model}` was not promoted: {error.message}",
                hint="run retrain again, which compares it with the new champion",
            ) from error
    log.info("version %d is the champion of model `%s`", version, model)
    return {"model": model, "version": version, "promoted": True}
