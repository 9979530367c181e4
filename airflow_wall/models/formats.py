"""
Save fitted estimators as bytes and load them again, in formats that hold data and no code.

Pickle and joblib are never used: to open such a file runs any code that its author wrote into it.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Protocol, cast

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError
from airflow_wall.models.base import NO_OWN_CODE, Model, OwnCode

OWN = "own"
"""Name of the format of models that the user's own functions save and open."""

FORMATS = {
    "catboost": "airflow_wall.models.catboost_file",
    "lightgbm": "airflow_wall.models.lightgbm_text",
    OWN: "airflow_wall.models.own_file",
    "safetensors": "airflow_wall.models.torch_safetensors",
    "skops": "airflow_wall.models.skops_file",
    "xgboost": "airflow_wall.models.xgboost_json",
}
"""Format name -> the module that reads and writes it."""

_OWNERS = {
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "torch": "safetensors",
    "sklearn": "skops",
}
"""Top-level package of an estimator's class or base class -> format, in order of preference."""

SUPPORTED = (
    "LightGBM, XGBoost, CatBoost, PyTorch, and scikit-learn (regressors, classifiers, and pipelines that end in one)"
)

_EXTRAS = {"xgboost": "xgboost", "catboost": "catboost", "torch": "torch", "safetensors": "torch"}
"""Package of a format that is not in `local` -> the extra that brings it."""


class ModelFormat(Protocol):
    """The functions of a format's module."""

    PACKAGES: tuple[str, ...]
    """The packages whose versions matter when it is opened."""

    def dump(self, estimator: Any, own: OwnCode) -> bytes:
        """
        Return the estimator as bytes. Equal estimators give equal bytes.

        :param own: The user's code that may be part of it.
        :raises ModelError: the estimator cannot be saved.
        """
        ...

    def load(self, content: bytes, own: OwnCode, targets: Sequence[str]) -> Model:
        """
        Return the model from the bytes of `dump`. No code in the bytes is run.

        :param own: The user's code that it may use.
        :param targets: The columns that it predicts, if there are several.
        :raises ModelError: the bytes are not in this format.
        """
        ...

    def types(self, content: bytes) -> list[str]:
        """Return the classes and functions in the bytes."""
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
        hint="return one of these as `Trained(estimator=...)`, or name functions as `save` and `load`",
    )


def dump(estimator: Any, name: str, own: OwnCode = NO_OWN_CODE) -> bytes:
    """Return the estimator as bytes in the format `name`. Equal estimators give equal bytes."""
    return _format(name).dump(estimator, own)


def load(content: bytes, name: str, own: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> Model:
    """
    Return the model from bytes in the format `name`.

    :param targets: The columns that it predicts. A single one may be left out, because files name no columns.
    """
    return _format(name).load(content, own, targets if len(targets) > 1 else ())


def types(content: bytes, name: str) -> tuple[str, ...]:
    """Return the classes and functions in bytes in the format `name`."""
    return tuple(sorted(_format(name).types(content)))


def libraries(name: str) -> dict[str, str]:
    """Return package -> version of the packages that a format depends on, and `python`."""
    installed = {package: version for package in _format(name).PACKAGES if (version := _version(package)) is not None}
    return {"python": platform.python_version(), **installed}


def other_versions(trained: Mapping[str, str]) -> str:
    """
    Return the packages whose version here differs from that in training, as text for a message; "" if none does.

    :param trained: Package -> its version in training, see `ModelRecord.libraries`.
    """
    here = dict.fromkeys(trained, "none")
    here |= {package: version for package in trained if (version := _version(package)) is not None}
    here["python"] = platform.python_version()
    return ", ".join(
        f"{package} {version} (here: {here[package]})"
        for package, version in trained.items()
        if here[package] != version
    )


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


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
            hint=f"install `airflow-wall[{_EXTRAS.get(str(error.name), 'local')}]`",
        ) from error
