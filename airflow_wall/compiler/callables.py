"""What a pipeline has called or made: callbacks, notifiers, timetables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airflow_wall.compiler.coercion import coerced
from airflow_wall.compiler.imports import imported
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.values import values_of
from airflow_wall.errors import UserCodeError, WallError
from airflow_wall.spec.callables import Callback, Constructed
from airflow_wall.text.faults import FaultyText, Loc


def constructed(spec: Constructed, *kinds: type, code: Path) -> Any:
    """
    Return the object that a `uses` and its `with` mean.

    Texts of it are filled in by Jinja where they are marked, if its class fills in any, and only there.

    :param kinds: Classes; what is made must be of one of them, if there are any.
    :param code: Folder of the YAML.
    :raises UserCodeError: the class is not there, is none of those, or refuses its arguments.
    """
    kind = imported(spec.uses, code, key="uses")
    if kinds and not (isinstance(kind, type) and set(kind.__mro__) & set(kinds)):  # before it is called
        hint = f"name one of `{'`, `'.join(each.__name__ for each in kinds)}`, or a class derived from them"
        raise UserCodeError(f"`{spec.uses}` is no class that is meant here", hint=hint)
    values, rendered = values_of(spec.with_, {}, code)
    wrong = [name for name in rendered if name not in getattr(kind, "template_fields", ())]
    if wrong:
        raise UserCodeError(
            f"`{wrong[0]}` of `{spec.uses}` cannot hold a marker: it is not filled in", hint="write the value itself"
        )
    try:
        literals = {name: each for name, each in values.items() if name not in rendered}
        made = kind(**{**values, **coerced(literals, kind)})
    except WallError:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        hint = f"compare `with` with the arguments of {spec.uses}"
        raise UserCodeError(f"`{spec.uses}` cannot be made: {said}", hint=hint) from error
    if hasattr(made, "template_fields"):
        made.template_fields = tuple(name for name in made.template_fields if name not in values or name in rendered)
        made.template_ext = ()
    return made


def built_callbacks(callbacks: Iterable[Callback], plan: Plan, loc: Loc) -> list[Callable[..., Any]]:
    """
    Return what is called with Airflow's context.

    :param loc: Where they stand in the document.
    :raises FaultyText: one is not there, cannot be made, or cannot be called; says which, where.
    """
    found = []
    for index, callback in enumerate(callbacks):
        try:
            if isinstance(callback, str):
                made = imported(callback, plan.code, key=str(loc[-1]))
            else:
                made = constructed(callback, code=plan.code)
            if not callable(made):
                raise WallError("it cannot be called", hint="name a function that takes Airflow's `context`")
        except WallError as error:
            said = error.message.removeprefix(f"`{loc[-1]}` ")
            raise FaultyText(
                [plan.places.fault((*loc, index), f"cannot be used: {said}", error.hint)], plan.text
            ) from error
        found.append(made)
    return found
