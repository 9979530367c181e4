"""
Save fitted estimators as bytes and load them again, in formats that hold data and no code.

Pickle and joblib are never used: to open such a file runs any code that its author wrote into it.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

from airflow_wall.diagnostics.suggestions import listed
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


class ModelFormat(Protocol):
    """The functions of a format's module."""

    def dump(self, estimator: Any) -> bytes:
        """
        Return the estimator as bytes. Equal estimators give equal bytes.

        :raises ModelError: the estimator cannot be saved.
        """
        ...

    def load(self, content: bytes) -> Model:
        """
        Return the model from the bytes of `dump`. No code in the bytes is run.

        :raises ModelError: the bytes are not in this format.
        """
        ...


def format_of(estimator: Any) -> str:
    """
    Return the name of the format for an estimator.

    :raises ModelError: no format supports it; the message lists the supported classes.
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
    """Return the estimator as bytes in the format `name`. Equal estimators give equal bytes."""
    return _format(name).dump(estimator)


def load(content: bytes, name: str) -> Model:
    """Return the model from bytes in the format `name`."""
    return _format(name).load(content)


def _format(name: str) -> ModelFormat:
    try:
        module = FORMATS[name]
    except KeyError:
        raise ModelError(
            f"the model format must be one of {listed(FORMATS)}, got `{name}`",
            hint="upgrade airflow-wall where this runs: a newer one wrote the model",
        ) from None
    try:
        return cast("ModelFormat", importlib.import_module(module))
    except ImportError as error:
        raise ModelError(
            f"the model format `{name}` needs the package `{error.name}`, which is not installed here",
            hint="install `airflow-wall[local]`",
        ) from error
