"""The options that all commands have: `-v` and `-q`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from airflow_wall.cli.output import Verbosity, set_verbosity

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = {
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print only faults and results.")],
}


class Commands(typer.Typer):
    """Commands that all have `--verbose` and `--quiet`."""

    def command(self, *arguments: Any, **options: Any) -> Callable[[Function], Function]:
        """Return a decorator that adds a function as a command."""
        add = super().command(*arguments, **options)

        def added(function: Function) -> Function:
            add(_with_verbosity(function))
            return function

        return added


def _with_verbosity(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options `--verbose` and `--quiet` besides its own."""
    signature = inspect.signature(function, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    added = [inspect.Parameter(name, keyword, default=False, annotation=kind) for name, kind in _OPTIONS.items()]

    @functools.wraps(function)
    def command(*, verbose: bool, quiet: bool, **arguments: Any) -> None:
        if verbose and quiet:
            raise typer.BadParameter("use it without `--verbose`", param_hint="--quiet")
        set_verbosity(Verbosity.VERBOSE if verbose else Verbosity.QUIET if quiet else Verbosity.NORMAL)
        function(**arguments)

    command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    return command
