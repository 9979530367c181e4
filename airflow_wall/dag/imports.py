"""
Import the Python objects that a YAML names: a dotted path for operators, `module:name` for the user's own code.

Modules of the user are searched beside the YAML first, and those of two directories never mix: see
`airflow_wall.environments.user_code`, which does the same for jobs.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
import warnings
from pathlib import Path
from types import FunctionType
from typing import Any

from airflow_wall.diagnostics.suggestions import nearest
from airflow_wall.environments.user_code import activate, load_object
from airflow_wall.errors import UserCodeError
from airflow_wall.language.operators import MOVED, PACKAGES, PROVIDERS, REMOVED, package_of, present_path

_cache: dict[str, Any] = {}
"""Dotted path to the imported object, for Airflow's packages: most pipelines name the same few operators."""


def imported(reference: str, code: Path, *, key: str) -> Any:
    """
    Return the object that `reference` names.

    When a function of the user is called, it imports modules from beside its own YAML, even if those of another
    directory were loaded since.

    :param reference: `module:name`, or the dotted path of a class.
    :param code: Directory of the YAML.
    :param key: The key that holds the reference, for messages.
    :raises UserCodeError: it does not exist, or its module raises; the message names `key`.
    """
    if reference.startswith("airflow.") and ":" not in reference:
        if reference not in _cache:
            _cache[reference] = _import_from_airflow(reference, key)
        return _cache[reference]
    try:
        target = load_object(reference, code=code, key=key)
    except UserCodeError as error:
        package = PACKAGES.get(reference.partition(".")[0])
        if package is None or "there is no module" not in error.message:
            raise
        raise UserCodeError(error.message, hint=f"install the package `{package}` where DAGs are parsed") from error
    return _with_own_modules(target, code) if isinstance(target, FunctionType) else target


def _import_from_airflow(reference: str, key: str) -> Any:
    module_name, _, name = reference.rpartition(".")
    where = f"`{key}` `{reference}`"
    try:
        with warnings.catch_warnings():
            if reference.startswith(MOVED):
                warnings.simplefilter("ignore")  # a warning of our own names the new path
            module = importlib.import_module(module_name)
            target = getattr(module, name, None)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{module_name}.".startswith(f"{missing}."):
            raise UserCodeError(
                f"{where}: importing `{module_name}` needs `{missing}`", hint=_install(missing)
            ) from error
        hint = _present(reference) or _nearest_module(reference, missing) or _install(missing, reference)
        raise UserCodeError(f"{where}: there is no module `{missing}`", hint=hint) from error
    except Exception as error:
        message = f"{where}: importing `{module_name}` raised `{type(error).__name__}: {error}`"
        raise UserCodeError(message, hint=_install(module_name)) from error
    if target is None:
        names = {*vars(module), *getattr(module, "__all__", ())}  # Airflow imports many names only when they are used
        near = nearest(name, sorted(attribute for attribute in names if not attribute.startswith("_")))
        hint = f"did you mean `{module_name}.{near}`?" if near else _present(reference) or _install(module_name)
        raise UserCodeError(f"{where}: module `{module_name}` has no `{name}`", hint=hint)
    return target


def _present(reference: str) -> str | None:
    """Return the hint for a name of Airflow 2, or None for any other name."""
    path = present_path(reference)
    if path is not None:
        return f"write `{path}`"
    return REMOVED.get(reference.rpartition(".")[2])


def _nearest_module(reference: str, missing: str) -> str | None:
    parent, _, leaf = missing.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", ())
    near = nearest(leaf, [info.name for info in pkgutil.iter_modules(folders)])
    return f"did you mean `{parent}.{near}{reference.removeprefix(missing)}`?" if near else None


def _install(missing: str, reference: str = "") -> str:
    """
    Return the hint for a module that cannot be imported.

    :param missing: The module.
    :param reference: The path that the pipeline names, if it is in this module.
    """
    module = reference or missing
    package = package_of(module)
    if package is not None:
        return f"install the package `{package}` where DAGs are parsed, or check the spelling"
    if not module.startswith("airflow.providers."):
        return "check the spelling; Airflow itself is installed, and has no such name"
    parts = module.removeprefix("airflow.providers.").split(".")
    near = nearest(".".join(parts[:2]), PROVIDERS) or nearest(parts[0], PROVIDERS)
    return (
        f"did you mean the provider `airflow.providers.{near}`?"
        if near
        else "correct the name: Airflow has no such provider"
    )


def _with_own_modules(function: FunctionType, code: Path) -> Any:
    """Return the function, which selects its own directory when called; coroutines and generators are unchanged."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return function
    if inspect.isgeneratorfunction(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        activate(code)
        return function(*args, **kwargs)

    return call
