"""
How a fitted estimator becomes bytes and comes back: by a format that holds data and no code.

Never by pickle or joblib: opening such a file runs whatever its author wrote into it.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

from airflow_wall.errors import ModelError
from airflow_wall.models.base import Model

FORMATS = {
    "lightgbm": "airflow_wall.models.lightgbm_text",
    "skops": "airflow_wall.models.skops_file",
}
"""Format name -> the module that reads and writes it."""

_OWNERS = {"lightgbm": "lightgbm", "sklearn": "skops"}
"""Top-level package of an estimator's class or base class -> format, in order of preference."""

SUPPORTED = (
    "LightGBM (`LGBMRegressor`, `LGBMClassifier`, `Booster`) "
    "and scikit-learn (regressors, classifiers, and pipelines that end in one)"
)


class Format(Protocol):
    """The functions of a format's module."""

    def dump(self, estimator: Any) -> bytes:
        """The estimator as bytes, the same for the same estimator. Raises ModelError where that is not possible."""
        ...

    def load(self, content: bytes) -> Model:
        """The model from bytes that `dump` gave. Raises ModelError for anything else; never runs code from it."""
        ...


def format_of(estimator: Any) -> str:
    """
    Name of the format that holds this estimator.

    :raises ModelError: none does; the message lists what is supported.
    """
    packages = {cls.__module__.partition(".")[0] for cls in type(estimator).__mro__}
    for package, name in _OWNERS.items():
        if package in packages:
            return name
    cls = type(estimator)
    raise ModelError(
        f"an estimator of type `{cls.__module__}.{cls.__qualname__}` cannot be saved; supported are {SUPPORTED}",
        hint="return one of these as `Trained(estimator=...)`",
    )


def dump(estimator: Any, name: str) -> bytes:
    """The estimator as bytes in the format `name`, the same bytes for the same estimator."""
    return _format(name).dump(estimator)


def load(content: bytes, name: str) -> Model:
    """The model from bytes in the format `name`."""
    return _format(name).load(content)


def _format(name: str) -> Format:
    try:
        module = FORMATS[name]
    except KeyError:
        raise ModelError(
            f"the model format `{name}` is not known; known are {', '.join(f'`{known}`' for known in FORMATS)}",
            hint="upgrade airflow-wall where this runs: a newer one wrote the model",
        ) from None
    try:
        return cast("Format", importlib.import_module(module))
    except ImportError as error:
        raise ModelError(
            f"the model format `{name}` needs the package `{error.name}`, which is not installed here",
            hint="install `airflow-wall[local]`",
        ) from error
