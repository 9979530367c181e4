"""Pods for the Kubernetes executor, from plain YAML."""

from __future__ import annotations

import importlib
import re
from typing import Any

import airflow

from airflow_wall.errors import UserCodeError
from airflow_wall.text.faults import FaultyText, Loc, shown, suggestion
from airflow_wall.text.places import Places

_INSIDE = re.compile(r"(list|dict)[\[(](?:str, ?)?(\w+)[\])]")
_SCALARS = {"str": (str, "text"), "int": (int, "a whole number"), "bool": (bool, "`true` or `false`")}
_TEXTS = (str, int, float)
"""What a quantity or a port may be written as, where the client's models say text or nothing."""


def built_pod(pod: Any, places: Places, loc: Loc) -> Any:
    """
    Return the `V1Pod` of a mapping with the keys that Kubernetes documents.

    :param pod: The mapping as it was written.
    :param loc: Where it stands in the document.
    :raises FaultyText: a key that pods do not have, or a value of another kind; says where.
    :raises UserCodeError: the Kubernetes client is not installed.
    """
    try:
        from kubernetes.client import ApiClient, Configuration, models

        if airflow.__version__.startswith("3.2."):  # without the provider it would hand the pod on as text
            importlib.import_module("airflow.providers.cncf.kubernetes.pod_generator")
    except ImportError as error:
        hint = "pip install apache-airflow-providers-cncf-kubernetes"
        raise UserCodeError(
            "`pod_override` needs the Kubernetes client, which is not installed here", hint=hint
        ) from error
    _check(pod, "V1Pod", models, places, loc)
    # The client has no public way from a mapping to its models. A configuration of its own keeps the pod picklable.
    client = ApiClient(configuration=Configuration())
    try:
        return client._ApiClient__deserialize(pod, models.V1Pod)
    except ValueError as error:  # a key that must be there, is not
        first = "write Airflow's own container first: `containers: [{name: base}]`"
        missing = first if "`containers`" in str(error) else None
        raise FaultyText([places.fault(loc, f"is no pod: {error}", missing)], places.document.text) from error


def _check(value: Any, kind: str, models: Any, places: Places, loc: Loc) -> None:
    found = _INSIDE.fullmatch(kind)
    if value is None:
        return
    if found is not None:
        _check_inside(value, found.group(1), found.group(2), models, places, loc)
    elif kind in _SCALARS:
        expected, words = _SCALARS[kind]
        if not isinstance(value, _TEXTS if kind == "str" else expected) or (isinstance(value, bool) and kind != "bool"):
            _refuse(places, loc, f"must be {words}, got `{shown(value)}`", None)
    elif hasattr(models, kind):
        _check_model(value, getattr(models, kind), models, places, loc)


def _check_inside(value: Any, outer: str, inner: str, models: Any, places: Places, loc: Loc) -> None:
    if not isinstance(value, list if outer == "list" else dict):
        words = "a list" if outer == "list" else "keys and values"
        _refuse(places, loc, f"must be {words}, got `{shown(value)}`", None)
    for key, each in enumerate(value) if outer == "list" else value.items():
        _check(each, inner, models, places, (*loc, key))


def _check_model(value: Any, model: Any, models: Any, places: Places, loc: Loc) -> None:
    if not isinstance(value, dict):
        _refuse(places, loc, f"must be keys and values, got `{shown(value)}`", None)
    known = {key: name for name, key in model.attribute_map.items()}
    for key, each in value.items():
        if key not in known:
            hint = suggestion(str(key), known, what="keys")
            raise FaultyText(
                [places.fault((*loc, key), "is not a key that Kubernetes knows here", hint, of_key=True)],
                places.document.text,
            )
        _check(each, model.openapi_types[known[key]], models, places, (*loc, key))


def _refuse(places: Places, loc: Loc, message: str, hint: str | None) -> None:
    raise FaultyText([places.fault(loc, message, hint)], places.document.text)
