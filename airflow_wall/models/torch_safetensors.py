"""
The safetensors format for PyTorch: the weights as data. The class is the user's own, in the pipeline's folder.

A model is made again by its class, with the arguments of `__init__` that it keeps as attributes, as in scikit-learn.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import ModelError, first_line
from airflow_wall.models.base import NO_OWN_CODE, Class, Kind, Output, OwnCode, TargetOutput
from airflow_wall.models.outputs import output_of, shaped
from airflow_wall.models.own_types import is_allowed, is_in_folder

PACKAGES = ("torch", "safetensors")

_FACTS = "airflow_wall"
"""Key of our facts in the metadata of a file: the class, its arguments and the classes that it predicts."""


def dump(estimator: Any, own: OwnCode = NO_OWN_CODE) -> bytes:
    """Return the weights of a `torch.nn.Module`, and what is needed to make it again."""
    cls = type(estimator)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if not isinstance(estimator, torch.nn.Module):
        raise ModelError(f"a model of PyTorch must be a `torch.nn.Module`, got `{name}`", hint="return the module")
    _check_class(name, own)
    output_of(_Predictor(estimator), ())  # reject classes that have no name
    labels = getattr(estimator, "classes_", None)
    labels = None if labels is None else np.asarray(labels).tolist()
    facts = {"class": name, "arguments": _arguments_of(estimator), "classes": labels}
    weights = {key: value.detach().cpu().contiguous() for key, value in estimator.state_dict().items()}
    try:
        return cast("bytes", safetensors.torch.save(weights, {_FACTS: json.dumps(facts, sort_keys=True)}))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"safetensors cannot save the `{cls.__name__}`: {first_line(error)}") from error


def types(content: bytes) -> list[str]:
    """See `ModelFormat.types`."""
    return [_facts(content)["class"]]


def load(content: bytes, own: OwnCode = NO_OWN_CODE, targets: Sequence[str] = ()) -> TorchModel:
    """See `ModelFormat.load`."""
    facts = _facts(content)
    name = facts["class"]
    _check_class(name, own)
    module, _, attribute = name.rpartition(".")
    try:
        model = getattr(importlib.import_module(module), attribute)(**facts["arguments"])
        model.load_state_dict(safetensors.torch.load(content))
    except Exception as error:  # the class is the user's own, and may raise anything
        raise ModelError(
            f"the `{attribute}` cannot be made from its file: {first_line(error)}",
            hint="the class has changed since it was trained: run retrain, or restore the class",
        ) from error
    if facts["classes"] is not None:
        model.classes_ = facts["classes"]
    return TorchModel(model.eval(), targets)


class TorchModel:
    """A module of PyTorch. It gets the features as floats, shape (rows, features), and returns numbers or logits."""

    has_probabilities = True

    def __init__(self, module: torch.nn.Module, targets: Sequence[str] = ()) -> None:
        self.kind: Kind
        self.classes: tuple[Class, ...]
        self.parts: tuple[TargetOutput, ...]
        self.kind, self.classes, _, self.parts = output_of(_Predictor(module), targets)
        self._module = module

    def score(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """See `Model.score`."""
        if texts := [str(name) for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]:
            raise ModelError(
                f"PyTorch cannot score these rows: {listed(texts)} must be numbers",
                hint="encode the columns as numbers in an earlier transform",
            )
        dtypes = [weights.dtype for weights in self._module.state_dict().values() if weights.is_floating_point()]
        values = torch.tensor(rows.to_numpy(dtype=np.float64)).to(dtypes[0] if dtypes else torch.float32)
        try:
            with torch.inference_mode():
                outputs = self._module(values).double().reshape(len(rows), -1)
                return shaped(self._probabilities(outputs).numpy(), self, len(rows))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            name = type(self._module).__name__
            raise ModelError(f"`{name}` cannot score these rows: {first_line(error)}") from error

    def _probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return numbers as they are, and logits as probabilities."""
        of_each: Sequence[Output] = self.parts or (self,)
        if all(output.kind == "regression" for output in of_each):
            return outputs
        if all(output.kind == "binary" for output in of_each) and outputs.shape[1] == len(of_each):
            return outputs.sigmoid()
        if self.parts:
            return outputs  # `shaped` rejects it: classes of several targets are those of 0 and 1
        probabilities = outputs.softmax(dim=1)
        return probabilities[:, 1] if self.kind == "binary" else probabilities


class _Predictor:
    """The attributes by which `output_of` knows a classifier: `classes_` and `predict_proba`."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.classes_ = getattr(module, "classes_", None)
        self.predict_proba = module


def _check_class(name: str, own: OwnCode) -> None:
    if is_allowed(name, own):
        return
    hint = "define `class Net(torch.nn.Module)` in a module of the pipeline's folder, outside of functions"
    if is_in_folder(name, own):
        hint = "have it added to the setting `[wall] allowed_entrypoints`, e.g. as `models.*`"
    raise ModelError(f"the class of a model of PyTorch must be one of the pipeline's folder, got `{name}`", hint=hint)


def _arguments_of(module: torch.nn.Module) -> Mapping[str, Any]:
    """
    Return the arguments of `__init__`, which the module keeps as attributes with their names.

    :raises ModelError: it does not, or one is not a plain value.
    """
    arguments = {}
    for name in inspect.signature(type(module)).parameters:
        value = getattr(module, name, inspect.Parameter.empty)
        try:
            plain = json.loads(json.dumps(value))
        except TypeError:
            plain = inspect.Parameter.empty
        if plain is inspect.Parameter.empty:
            raise ModelError(
                f"the `{type(module).__name__}` must keep its argument `{name}` as an attribute with a plain value",
                hint=f"write `self.{name} = {name}` in `__init__`, with a number, a text, or a list of them",
            )
        arguments[name] = plain
    return arguments


def _facts(content: bytes) -> dict[str, Any]:
    try:
        length = int.from_bytes(content[:8], "little")
        facts: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_FACTS])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "the file is not one that `retrain` saved by safetensors", hint="restore it from a backup"
        ) from error
    return facts
