"""Create the objects and callbacks that a pipeline names: notifiers, timetables, functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from airflow_wall.dag.coercion import coerced
from airflow_wall.dag.imports import imported
from airflow_wall.dag.signatures import parameter_faults
from airflow_wall.dag.values import values_of
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import UserCodeError, WallError, first_line
from airflow_wall.language.callables import Callback, Constructed
from airflow_wall.planner.plan import Plan


class Misused(UserCodeError):
    """
    Raised for a class or function that is missing, or that does not take its arguments.

    :param details: The path below the `uses` and `with`, the message, the hint, and True if it is about the key.
    """

    def __init__(self, details: Sequence[tuple[Loc, str, str | None, bool]]) -> None:
        _, message, hint, _ = details[0]
        super().__init__(message, hint=hint)
        self.details = tuple(details)


def faults_of(error: Exception, plan: Plan, loc: Loc, begin: str) -> list[Fault]:
    """
    Return the faults of a block that cannot be made.

    :param loc: Path of the block.
    :param begin: First words of the message, if the error does not say which part of the block is wrong.
    """
    if isinstance(error, FaultyText):
        return list(error.faults)
    if isinstance(error, Misused):
        return [
            plan.places.fault((*loc, *at), message, hint, of_key=of_key) for at, message, hint, of_key in error.details
        ]
    reason = first_line(error).removeprefix(f"`{loc[-1] if isinstance(loc[-1], str) else loc[-2]}` ")
    hint = error.hint if isinstance(error, WallError) else None
    return [plan.places.fault(loc, f"{begin}: {reason}", hint)]


def named(spec: Constructed, *kinds: type, code: Path, passed: tuple[str, ...] = ()) -> Any:
    """
    Return the class or function that `uses` names, without a call.

    :param kinds: If not empty, it must be one of these classes or derived from one.
    :param code: Directory of the YAML.
    :param passed: Arguments that a function gets besides those in `with`.
    :raises Misused: it is missing, is not one of `kinds`, or does not take the arguments in `with`.
    """
    try:
        kind = imported(spec.uses, code, key="uses")
    except UserCodeError as error:
        reason = error.message.removeprefix(f"`uses` `{spec.uses}`: ")
        raise Misused([(("uses",), f"names `{spec.uses}`: {reason}", error.hint, False)]) from error
    if kinds and not (isinstance(kind, type) and set(kind.__mro__) & set(kinds)):  # before it is called
        hint = f"name one of {listed(base.__name__ for base in kinds)}, or a class derived from one of them"
        message = f"names `{spec.uses}`, which is not one of the classes that are allowed here"
        raise Misused([(("uses",), message, hint, False)])
    faults = list(parameter_faults(kind, spec.with_, passed=() if isinstance(kind, type) else passed))
    if faults:
        raise Misused([(("with", *at), message, hint, of_key) for at, message, hint, of_key in faults])
    return kind


def constructed(spec: Constructed, *kinds: type, code: Path) -> Any:
    """
    Return an instance of the class in `uses`, created with the arguments in `with`.

    Only texts with a marker are rendered by Jinja, and only if the class has template fields.

    :param kinds: If not empty, the class must be one of these or derived from one.
    :param code: Directory of the YAML.
    :raises UserCodeError: the class is missing, is not one of `kinds`, or rejects its arguments.
    """
    kind = named(spec, *kinds, code=code)
    values, rendered = values_of(spec.with_, {}, code)
    wrong = [name for name in rendered if name not in getattr(kind, "template_fields", ())]
    if wrong:
        message = f"cannot hold a marker: `{spec.uses}` does not fill it in"
        raise Misused([(("with", name), message, "write the value itself", False) for name in wrong])
    try:
        literals = {name: value for name, value in values.items() if name not in rendered}
        instance = kind(**{**values, **coerced(literals, kind)})
    except WallError:
        raise
    except Exception as error:
        message = f"names `{spec.uses}`, which cannot be made: {first_line(error)}"
        hint = f"compare `with` with the arguments of {spec.uses}"
        raise Misused([(("uses",), message, hint, False)]) from error
    if hasattr(instance, "template_fields"):
        instance.template_fields = tuple(
            name for name in instance.template_fields if name not in values or name in rendered
        )
        instance.template_ext = ()
    return instance


def built_callbacks(callbacks: Iterable[Callback], plan: Plan, loc: Loc) -> list[Callable[..., Any]]:
    """
    Return the callbacks as callables that take Airflow's context.

    :param loc: Their path in the document.
    :raises FaultyText: a callback is missing, cannot be created or is not callable; names it and its position.
    """
    result = []
    faults: list[Fault] = []
    for index, callback in enumerate(callbacks):
        try:
            result.append(_callback(callback, plan, str(loc[-1])))
        except WallError as error:
            faults += faults_of(error, plan, (*loc, index), "cannot be used")
    if faults:
        raise FaultyText(faults, plan.text)
    return result


def _callback(callback: Callback, plan: Plan, key: str) -> Callable[..., Any]:
    if isinstance(callback, str):
        function = imported(callback, plan.code, key=key)
    elif inspect.isroutine(target := named(callback, code=plan.code, passed=("context",))):
        values, _ = values_of(callback.with_, {}, plan.code)
        function = functools.partial(target, **values) if values else target
    else:
        function = constructed(callback, code=plan.code)
    if not callable(function):
        raise WallError("it cannot be called", hint="name a function that takes Airflow's `context`")
    result: Callable[..., Any] = function
    return result
