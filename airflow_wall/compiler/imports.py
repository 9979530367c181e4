"""
What a YAML names of Python: operators by their dotted path, functions and classes of the user as `module:name`.

The user's modules are looked for beside the YAML first, and those of two folders never mix: see
`airflow_wall.jobs.user_code`, which does the same for jobs.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
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
    where = f"`{key}` `{reference}`"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module_name}.".startswith(f"{missing}."):
            raise UserCodeError(
                f"{where}: importing `{module_name}` needs `{missing}`", hint=_install(missing)
            ) from error
        hint = _nearest_module(reference, missing) or _install(missing)
        raise UserCodeError(f"{where}: there is no module `{missing}`", hint=hint) from error
    except Exception as error:
        message = f"{where}: importing `{module_name}` raised `{type(error).__name__}: {error}`"
        raise UserCodeError(message, hint=_install(module_name)) from error
    if not hasattr(module, name):
        near = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        hint = f"did you mean `{module_name}.{near}`?" if near else _install(module_name)
        raise UserCodeError(f"{where}: module `{module_name}` has no `{name}`", hint=hint)
    return getattr(module, name)


def _nearest_module(reference: str, missing: str) -> str | None:
    parent, _, leaf = missing.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", ())
    near = nearest(leaf, [found.name for found in pkgutil.iter_modules(folders)])
    return f"did you mean `{parent}.{near}{reference.removeprefix(missing)}`?" if near else None


def _install(missing: str) -> str:
    first, second, third, *_ = (*missing.split("."), "", "")
    package = f"apache-airflow-providers-{third}" if (first, second) == ("airflow", "providers") and third else first
    return f"check the spelling, and that the package `{package}` is installed where DAGs are parsed"


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
