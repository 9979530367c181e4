"""
The skops format for scikit-learn estimators: a zip of arrays and of JSON with class names. Only trusted classes are
loaded.

skops names its parts by memory addresses and adds the time to them. Both are replaced, so that equal estimators give
equal bytes in every process.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.environments.user_code import activate
from airflow_wall.errors import ModelError, first_line
from airflow_wall.models.base import NO_OWN_CODE, OwnCode
from airflow_wall.models.outputs import estimator_scores, output_of
from airflow_wall.models.own_types import is_allowed, is_in_folder

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # it looks at every attribute of every loaded module; deprecated ones of Airflow warn
    import skops.io

TRUSTED = frozenset(
    (
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.bool_",
        "numpy.dtype",
        "numpy.floating",
        "numpy.integer",
        "numpy.number",
        "numpy.object_",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.interpolate._bsplines._BSpline",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.feature_selection._univariate_selection.r_regression",
        "sklearn.utils.validation.check_array",
    )
)
"""
Classes and functions that may be loaded besides those that skops itself trusts, and besides the classes of
scikit-learn.
"""

_UNTRUSTED_MODULES = ("sklearn.datasets.", "sklearn.externals.", "sklearn.utils.parallel.", "sklearn.conftest.")
"""Modules of scikit-learn that are no part of a model: they read files and the network, or run processes."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file


PACKAGES = ("scikit-learn", "skops", "numpy", "scipy")


def dump(estimator: Any, own: OwnCode = NO_OWN_CODE) -> bytes:
    """Return the estimator as a skops file."""
    name = type(estimator).__name__
    _check_predicts(estimator)
    try:
        check_is_fitted(estimator)
    except ValueError as error:  # NotFittedError is a ValueError
        raise ModelError(f"the `{name}` is not fitted", hint="call its `fit` first") from error
    try:
        content = _canonical(skops.io.dumps(estimator))
    except Exception as error:  # skops has no error class; an attribute of the estimator can raise any error
        raise ModelError(
            f"skops cannot save the `{name}`: {error}", hint="store only plain values and arrays in it"
        ) from error
    _refuse_untrusted(content, f"the `{name}`", own)
    return content


def types(content: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
    return sorted(set(_types_in(schema)) | set(skops.io.get_untrusted_types(data=content)))


def _types_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict) and {"__class__", "__module__"} <= node.keys():
        yield f"{node['__module__']}.{node['__class__']}"
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _types_in(child)


def load(content: bytes, own: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> SklearnModel:
    """See `ModelFormat.load`."""
    try:
        if own.code is not None:
            activate(own.code)
        _refuse_untrusted(content, "the model", own)
        estimator = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))  # all checked above
    except ModelError:
        raise
    except Exception as error:  # a file in another format raises errors of zipfile, json or numpy
        raise ModelError(
            f"skops cannot read the model: {type(error).__name__}: {error}", hint="restore it from a backup"
        ) from error
    _check_predicts(estimator)
    return SklearnModel(estimator, targets)


class SklearnModel:
    """A scikit-learn estimator."""

    def __init__(self, estimator: Any, targets: Sequence[str] = ()) -> None:
        self.kind, self.classes, self.has_probabilities, self.parts = output_of(estimator, targets)
        self._estimator = estimator

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        try:
            with warnings.catch_warnings():
                # An estimator fitted on an array has no feature names; the order in the record is used.
                warnings.filterwarnings("ignore", message="X has feature names", category=UserWarning)
                return estimator_scores(self._estimator, self, rows)
        except (ValueError, TypeError, AttributeError) as error:
            name = type(self._estimator).__name__
            raise ModelError(f"`{name}` cannot score these rows: {first_line(error)}") from error


def _check_predicts(estimator: Any) -> None:
    if not is_regressor(estimator) and not is_classifier(estimator):
        raise ModelError(
            f"the `{type(estimator).__name__}` is neither a regressor nor a classifier",
            hint="end the pipeline with one of them",
        )


def _refuse_untrusted(content: bytes, where: str, own: OwnCode) -> None:
    untrusted = sorted(name for name in skops.io.get_untrusted_types(data=content) if not _is_trusted(name, own))
    if not untrusted:
        return
    allowed = "classes of scikit-learn and LightGBM only"
    hint = "replace that part by one of scikit-learn, or compute it in an earlier transform"
    if own.code is not None:
        allowed = "classes of scikit-learn, LightGBM and the pipeline's folder only"
        hint = "define that part in a module of the pipeline's folder, or replace it by one of scikit-learn"
    if any(is_in_folder(name, own) for name in untrusted):
        hint = "have them added to the setting `[wall] allowed_entrypoints`, e.g. as `models.*`"
    raise ModelError(
        f"{where} must hold {allowed}, got {listed(untrusted)} (scikit-learn {sklearn.__version__})", hint=hint
    )


def _is_trusted(name: str, own: OwnCode) -> bool:
    """
    Return True for a class of scikit-learn that can be part of a model, for the names in `TRUSTED`, and for the user's
    own classes and functions that the deployment allows.
    """
    if name in TRUSTED or is_allowed(name, own):
        return True
    if not name.startswith("sklearn.") or name.startswith(_UNTRUSTED_MODULES):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    if name.startswith("sklearn.metrics."):  # the scorer of a search: these compute, and do nothing else
        return callable(found) and found.__module__.startswith("sklearn.metrics.")
    # A function could be called with any arguments by the estimator that holds it.
    return inspect.isclass(found) and found.__module__.partition(".")[0] == "sklearn"


def _canonical(content: bytes) -> bytes:
    """Return a skops file with numbers from 1 in place of addresses, in order of appearance, and without times."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    schema = json.loads(parts.pop("schema.json"))
    names: dict[str, str] = {}
    _renumber(schema, {}, names)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for old, new in sorted(names.items(), key=lambda pair: int(pair[1].partition(".")[0])):
            archive.writestr(zipfile.ZipInfo(new, _EPOCH), parts.pop(old), zipfile.ZIP_DEFLATED)
        if parts:
            raise ValueError(f"the schema does not name the parts {', '.join(sorted(parts))}")
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), json.dumps(schema), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            _, dot, kind = node["file"].partition(".")
            node["file"] = names.setdefault(node["file"], f"{len(names) + 1}{dot}{kind}")
    for child in children:
        _renumber(child, numbers, names)
