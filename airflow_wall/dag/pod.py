"""Pods for the Kubernetes executor, from plain YAML."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import airflow
from pydantic import ValidationError

from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.diagnostics.printable import brief
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import UserCodeError
from airflow_wall.text.places import Places

_CONTAINER = re.compile(r"(list|dict)[\[(](?:str, ?)?(.+)[\])]", re.IGNORECASE)
"""The type of a list or mapping as the client writes it: `dict(str, str)`, since its release 37 `Dict[str, str]`."""
_SCALARS = {
    "str": ((str, int, float), "text"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "`true` or `false`"),
}
"""Types that a value may have. Text may be a number, because a quantity may be one: `cpu: 2`."""
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
        from kubernetes.client import Configuration, models

        if airflow.__version__.startswith("3.2."):  # without the provider it would pass the pod on as text
            importlib.import_module("airflow.providers.cncf.kubernetes.pod_generator")
    except ImportError as error:
        hint = "pip install apache-airflow-providers-cncf-kubernetes"
        raise UserCodeError(
            "`pod_override` needs the Kubernetes client, which is not installed here", hint=hint
        ) from error
    # Each model before release 37 copies the client's configuration unless it is passed one.
    shared = {} if hasattr(models.V1Pod, "model_fields") else {"local_vars_configuration": Configuration()}
    return _PodBuilder(models, shared, places).build(pod, "V1Pod", loc)


@dataclass(frozen=True)
class _PodBuilder:
    """
    Checks plain values and builds models of the Kubernetes client from them.

    The checks are our own, so that messages name the position and do not depend on the client's version.

    :param models: The module with the client's models.
    :param shared: Arguments that all models take.
    """

    models: Any
    shared: dict[str, Any]
    places: Places

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

    def _model(self, value: Any, model: Any, loc: Loc) -> Any:
        if not isinstance(value, dict):
            self._reject(loc, f"must be keys and values, got `{brief(value)}`")
        attributes = {key: name for name, key in model.attribute_map.items()}
        arguments = {}
        for key, entry in value.items():
            if key not in attributes:
                hint = suggestion(str(key), attributes, what="keys")
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
