"""Call the training function of the user, and check its result."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.environments.user_code import calling
from airflow_wall.errors import ModelError, UserCodeError
from airflow_wall.models.base import Trained
from airflow_wall.models.features import to_frame
from airflow_wall.models.holdout import Split

log = logging.getLogger(__name__)

_FEW = 10
"""Number of rows below which an error is probably due to their number."""

_ONE_CLASS = re.compile(r"only one class|got 1 class|at least 2 classes|one unique value|contains only one label")
"""Words of the libraries about training rows of a single class."""


_NULLS = re.compile(r"NaN|missing values|infinity", re.IGNORECASE)
"""Words of the libraries about values that they cannot use."""


def call_train(
    function: Callable[..., Any], code: Path, entrypoint: str, parts: Split, parameters: Mapping[str, Any]
) -> Trained:
    """
    Call the function with a DataFrame for each input, with training rows only, and with the parameters.

    :param code: The pipeline's directory.
    :raises ModelError: it returned something else than a usable `Trained`.
    :raises UserCodeError: it raised.
    """
    if shared := [name for name in parameters if name in parts.training]:
        raise ModelError(f"`{shared[0]}` is in both `inputs` and `parameters`", hint="rename one of them")
    frames = {key: to_frame(rows) for key, rows in parts.training.items()}
    counts = ", ".join(f"{key}: {len(rows):,} rows" for key, rows in frames.items())
    log.info("calling `%s` with %s; held out: %s", entrypoint, counts, parts.window.how)
    try:
        with calling(entrypoint, code=code):
            trained = function(**frames, **parameters)
    except UserCodeError as error:
        hint = error.hint or _hint_on_rows(error.message, frames)
        raise UserCodeError(error.message, hint=hint, trace=error.trace) from error.__cause__
    if not isinstance(trained, Trained):
        raise ModelError(
            f"`entrypoint` `{entrypoint}` must return a `Trained`, got `{type(trained).__name__}`",
            hint="end it with `return Trained(estimator, features=[...], target=...)`, from `airflow_wall.models.base`",
        )
    _check_trained(trained, entrypoint, next(iter(parts.training)), parts)
    return trained


def _hint_on_rows(message: str, frames: Mapping[str, pd.DataFrame]) -> str | None:
    """Return a hint if the training rows are the likely reason of an error."""
    key, rows = next(iter(frames.items()))
    if _ONE_CLASS.search(message):
        return (
            "the training rows have a single class: provide others, or choose the held-out rows differently, e.g. "
            "`holdout: {random: true}`"
        )
    if _NULLS.search(message):
        nulls = [f"`{name}` ({count:,})" for name, count in rows.isna().sum().items() if count]
        return f"columns of `{key}` with nulls: {', '.join(nulls)}; fill them, or drop these rows" if nulls else None
    if len(rows) < _FEW:
        return f"`{key}` has only {len(rows):,} training rows: provide more, or change `holdout`"
    return None


def _check_trained(trained: Trained, entrypoint: str, key: str, parts: Split) -> None:
    where = f"`entrypoint` `{entrypoint}` returned"
    features = trained.features
    if isinstance(features, str) or not features or not all(isinstance(name, str) for name in features):
        raise ModelError(
            f"{where} a model whose `features` must be a list of column names, got `{features}`",
            hint='write, e.g., `features=["hour", "distance"]`',
        )
    if not trained.targets or not all(isinstance(name, str) for name in trained.targets):
        raise ModelError(
            f"{where} a model whose `target` must be the name of a column, or a list of names, got `{trained.target}`",
            hint='write, e.g., `target="value"`',
        )
    for rows, place in ((parts.training[key], f"`inputs.{key}`"), (parts.held_out, "the table of held-out rows")):
        if missing := [name for name in (*features, *trained.targets) if name not in rows.column_names]:
            raise ModelError(
                f"{where} a model with columns that {place} does not have: {listed(missing)}",
                hint="compute them in an earlier transform, so that predict has them too",
            )
    for target in trained.targets:
        if target in features:
            raise ModelError(
                f"{where} a model with its target `{target}` among its features", hint="remove it from `features`"
            )
    for key, names in (("feature", features), ("target", trained.targets)):
        if repeated := [name for name in names if list(names).count(name) > 1]:
            hint = f"list each column once in `{key}{'s' if key == 'feature' else ''}`"
            raise ModelError(f"{where} a model with the {key} `{repeated[0]}` twice", hint=hint)
