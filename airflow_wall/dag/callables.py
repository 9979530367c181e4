"""Create the objects and callbacks that a pipeline names: notifiers, timetables, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airflow_wall.dag.coercion import coerced
from airflow_wall.dag.imports import imported
from airflow_wall.dag.values import values_of
from airflow_wall.diagnostics.faults import FaultyText, Loc
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import UserCodeError, WallError
from airflow_wall.language.callables import Callback, Constructed
from airflow_wall.planner.plan import Plan


def constructed(spec: Constructed, *kinds: type, code: Path) -> Any:
    """
    Return an instance of the class in `uses`, created with the arguments in `with`.

    Only texts with a marker are rendered by Jinja, and only if the class has template fields.

    :param kinds: If not empty, the class must be one of these or derived from one.
    :param code: Directory of the YAML.
    :raises UserCodeError: the class is missing, is not one of `kinds`, or rejects its arguments.
    """
    kind = imported(spec.uses, code, key="uses")
    if kinds and not (isinstance(kind, type) and set(kind.__mro__) & set(kinds)):  # before it is called
        hint = f"name one of {listed(base.__name__ for base in kinds)}, or a class derived from one of them"
        raise UserCodeError(f"`{spec.uses}` is not one of the classes that are allowed here", hint=hint)
    values, rendered = values_of(spec.with_, {}, code)
    wrong = [name for name in rendered if name not in getattr(kind, "template_fields", ())]
    if wrong:
        raise UserCodeError(
            f"`{wrong[0]}` of `{spec.uses}` cannot hold a marker: it is not filled in", hint="write the value itself"
        )
    try:
        literals = {name: value for name, value in values.items() if name not in rendered}
        instance = kind(**{**values, **coerced(literals, kind)})
    except WallError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        hint = f"compare `with` with the arguments of {spec.uses}"
        raise UserCodeError(f"`{spec.uses}` cannot be made: {reason}", hint=hint) from error
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
    for index, callback in enumerate(callbacks):
        try:
            if isinstance(callback, str):
                function = imported(callback, plan.code, key=str(loc[-1]))
            else:
                function = constructed(callback, code=plan.code)
            if not callable(function):
                raise WallError("it cannot be called", hint="name a function that takes Airflow's `context`")
        except WallError as error:
            reason = error.message.removeprefix(f"`{loc[-1]}` ")
            raise FaultyText(
                [plan.places.fault((*loc, index), f"cannot be used: {reason}", error.hint)], plan.text
            ) from error
        result.append(function)
    return result
