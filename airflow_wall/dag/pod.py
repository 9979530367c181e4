"""Pods for the Kubernetes executor, and objects of Kubernetes for operators, from plain YAML."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import airflow
from airflow.sdk import BaseOperator
from pydantic import ValidationError

from airflow_wall.dag.signatures import parameter_faults
from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import UserCodeError
from airflow_wall.language.markers import Import, XComRef, plain
from airflow_wall.text.places import Places

_CONTAINER = re.compile(r"(list|dict)[\[(](?:str, ?)?(.+)[\])]", re.IGNORECASE)
"""The type of a list or mapping as the client writes it: `dict(str, str)`, since its release 37 `Dict[str, str]`."""
_SCALARS = {
    "str": ((str, int, float), "text"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "`true` or `false`"),
}
"""Types that a value may have. Text may be a number, because a quantity may be one: `cpu: 2`."""
_KUBERNETES = re.compile(r"(?P<list>list\[)?(?:\w+\.)*\b(?P<name>V1[A-Z]\w+|Secret)\b")
"""A type of Kubernetes in an annotation, e.g. `list[k8s.V1Volume] | None`."""

_HINTS = {"containers": "write Airflow's own container first: `containers: [{name: base}]`"}
"""Hints for a missing key."""


def built_pod(pod: Any, places: Places, loc: Loc) -> Any:
    """
    Return the `V1Pod` of a mapping with the keys that Kubernetes documents.

    :param pod: The mapping as written.
    :param loc: Its path in the document.
    :raises FaultyText: a key is unknown or missing, or a value has the wrong type; names the position.
    :raises UserCodeError: the Kubernetes client is not installed.
    """
    try:
        if airflow.__version__.startswith("3.2."):  # without the provider it would pass the pod on as text
            importlib.import_module("airflow.providers.cncf.kubernetes.pod_generator")
        builder = _builder(places)
    except ImportError as error:
        hint = "pip install apache-airflow-providers-cncf-kubernetes"
        raise UserCodeError(
            "`pod_override` needs the Kubernetes client, which is not installed here", hint=hint
        ) from error
    return builder.build(pod, "V1Pod", loc)


def built_pods(kind: type[BaseOperator], arguments: Mapping[str, Any], places: Places, loc: Loc) -> dict[str, Any]:
    """
    Return the arguments that an operator takes as objects of Kubernetes, built from plain keys and values.

    :param kind: The class of the operator. The annotations of its arguments decide, e.g. `list[V1Volume]`.
    :param arguments: The arguments as written.
    :param loc: Their path in the document.
    :raises FaultyText: a key is unknown or missing, or a value has the wrong type; names the position.
    """
    types = _kubernetes_types(kind)
    result: dict[str, Any] = {}
    for name in types.keys() & arguments.keys():
        value, type_ = arguments[name], types[name]
        if not _holds(value, XComRef | Import) and not (isinstance(value, dict) and type_.or_dict):
            # The operator renders the texts of templates inside these objects.
            result[name] = _builder(places, type_.classes).build(plain(value), type_.text, (*loc, name))
    return result


@dataclass(frozen=True)
class _KubernetesType:
    """
    The type of an argument.

    :param text: The type as `_PodBuilder` takes it.
    :param or_dict: True if the argument may also be a dict as it is.
    :param classes: Classes of the provider that `text` names.
    """

    text: str
    or_dict: bool
    classes: Mapping[str, type]


@functools.cache
def _kubernetes_types(kind: type[BaseOperator]) -> Mapping[str, _KubernetesType]:
    types: dict[str, _KubernetesType] = {}
    for base in kind.__mro__:
        constructor = inspect.unwrap(vars(base).get("__init__", object.__init__))
        if base is BaseOperator or not hasattr(constructor, "__annotations__"):
            continue
        for name, annotation in constructor.__annotations__.items():
            text = str(annotation)
            match = _KUBERNETES.search(text)
            if match is None or name in types:
                continue
            found = getattr(constructor, "__globals__", {}).get(match["name"])
            if match["name"] == "Secret" and not isinstance(found, type):
                continue
            classes: dict[str, type] = {"Secret": found} if match["name"] == "Secret" and found else {}
            inner = match["name"] if match["list"] is None else f"list[{match['name']}]"
            types[name] = _KubernetesType(inner, re.search(r"\bdict\b", text) is not None, classes)
    return types


def _holds(value: Any, kinds: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_holds(item, kinds) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, kinds)


def _builder(places: Places, classes: Mapping[str, type] | None = None) -> _PodBuilder:
    from kubernetes.client import Configuration, models

    # Each model before release 37 copies the client's configuration unless it is passed one.
    shared = {} if hasattr(models.V1Pod, "model_fields") else {"local_vars_configuration": Configuration()}
    return _PodBuilder(models, shared, places, classes or {})


@dataclass(frozen=True)
class _PodBuilder:
    """
    Checks plain values and builds models of the Kubernetes client from them.

    The checks are our own, so that messages name the position and do not depend on the client's version.

    :param models: The module with the client's models.
    :param shared: Arguments that all models take.
    :param classes: Classes of Airflow's provider, by name.
    """

    models: Any
    shared: dict[str, Any]
    places: Places
    classes: Mapping[str, type]

    def build(self, value: Any, kind: str, loc: Loc) -> Any:
        """Return a value as the client's type `kind`; `None` stays `None`."""
        if value is None:
            return None
        container = _CONTAINER.fullmatch(kind)
        if container is not None:
            return self._container(value, container.group(1).lower(), container.group(2), loc)
        if kind in _SCALARS:
            return self._scalar(value, kind, loc)
        if kind == "datetime":
            return self._time(value, loc)
        if kind in self.classes:
            return self._object(value, self.classes[kind], loc)
        if hasattr(self.models, kind):
            return self._model(value, getattr(self.models, kind), loc)
        return value

    def _scalar(self, value: Any, kind: str, loc: Loc) -> Any:
        types, expected = _SCALARS[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "bool"):
            self._reject(loc, f"must be {expected}, got `{brief(value)}`")
        return str(value) if kind == "str" else value

    def _time(self, value: Any, loc: Loc) -> datetime:
        try:
            return value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            self._reject(loc, f"must be a time, got `{brief(value)}`", "write it as `2013-07-01T00:00:00Z`")

    def _container(self, value: Any, outer: str, inner: str, loc: Loc) -> Any:
        if not isinstance(value, list if outer == "list" else dict):
            expected = "a list" if outer == "list" else "keys and values"
            self._reject(loc, f"must be {expected}, got `{brief(value)}`")
        entries = dict(enumerate(value)) if isinstance(value, list) else value
        built = {}
        for key, entry in entries.items():
            if entry is None:
                self._reject((*loc, key), "must have a value, got `null`")
            built[key] = self.build(entry, inner, (*loc, key))
        return list(built.values()) if isinstance(value, list) else built

    def _object(self, value: Any, kind: type, loc: Loc) -> Any:
        if not isinstance(value, dict):
            self._reject(loc, f"must be keys and values, got `{brief(value)}`")
        for at, message, hint, of_key in parameter_faults(kind, value):
            self._reject((*loc, *at), message, hint, of_key=of_key)
        try:
            return kind(**value)
        except Exception as error:
            self._reject(loc, f"is rejected by `{kind.__name__}`: {error}")

    def _model(self, value: Any, model: Any, loc: Loc) -> Any:
        if not isinstance(value, dict):
            self._reject(loc, f"must be keys and values, got `{brief(value)}`")
        attributes = {key: name for name, key in model.attribute_map.items()}
        arguments = {}
        for key, entry in value.items():
            if key not in attributes:
                hint = "remove it: a pod is plain keys and values" if key == "__type__" else None
                hint = hint or suggestion(str(key), attributes, what="keys")
                self._reject((*loc, key), "is not a key that Kubernetes knows here", hint, of_key=True)
            name = attributes[key]
            arguments[name] = self.build(entry, model.openapi_types[name], (*loc, key))
        try:
            return model(**arguments, **self.shared)
        except ValueError as error:
            name = _refused_argument(error)
            key = model.attribute_map.get(name, name)
            if arguments.get(name) is None:
                self._reject(loc, f"must have `{key}`", _HINTS.get(key))
            self._reject((*loc, key), f"is refused by the Kubernetes client: {error}")

    def _reject(self, loc: Loc, message: str, hint: str | None = None, *, of_key: bool = False) -> NoReturn:
        fault = self.places.fault(loc, message, hint, of_key=of_key)
        raise FaultyText([fault], self.places.document.text)


def _refused_argument(error: ValueError) -> str:
    """Return the argument that a model of the client rejects: pydantic errors carry it, older ones quote it first."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["loc"][0])
    quoted = re.search(r"`(\w+)`", str(error))
    return quoted.group(1) if quoted else ""
