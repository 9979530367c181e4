"""
What a YAML names of Python: operators by their dotted path, functions and classes of the user as `module:name`.

The user's modules are looked for beside the YAML first, and those of two folders never mix: see
`airflow_wall.jobs.user_code`, which does the same for jobs.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from pathlib import Path
from types import FunctionType
from typing import Any

from airflow_wall.errors import UserCodeError
from airflow_wall.jobs.user_code import load_object, put_in_force
from airflow_wall.text.faults import nearest

_found: dict[str, Any] = {}
"""Dotted path to what it is, for the packages of Airflow: most pipelines name the same few operators."""


def imported(reference: str, code: Path, *, key: str) -> Any:
    """
    Return what `reference` names.

    A function of the user's finds the modules beside its YAML again when it is called, whatever was loaded since.

    :param reference: `module:name`, or the dotted path of a class.
    :param code: Folder of the YAML.
    :param key: The key that holds the reference, for messages.
    :raises UserCodeError: it is not there, or its module raises; the message says where.
    """
    if reference.startswith("airflow.") and ":" not in reference:
        if reference not in _found:
            _found[reference] = _of_airflow(reference, key)
        return _found[reference]
    found = load_object(reference, code=code, key=key)
    return _at_home(found, code) if isinstance(found, FunctionType) else found


def _of_airflow(reference: str, key: str) -> Any:
    module_name, _, name = reference.rpartition(".")
    package = ".".join(reference.split(".")[:3])
    hint = f"check the spelling of `{key}`, and that the package with `{package}` is installed where DAGs are parsed"
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserCodeError(f"importing `{module_name}` raised `{type(error).__name__}: {error}`", hint=hint) from error
    if not hasattr(module, name):
        near = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        message = f"module `{module_name}` has no `{name}`"
        raise UserCodeError(message, hint=f"did you mean `{near}`?" if near else hint)
    return getattr(module, name)


def _at_home(function: FunctionType, code: Path) -> Any:
    """The function, its folder in force while it starts; those whose body runs later are left as they are."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return function
    if inspect.isgeneratorfunction(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        put_in_force(code)
        return function(*args, **kwargs)

    return call
