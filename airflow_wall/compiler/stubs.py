"""Functions that do nothing, with the parameters that a task handler outside Airflow takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable


@functools.cache
def empty_function(parameters: tuple[str, ...]) -> Callable[..., None]:
    """A function with these parameters. Airflow reads its signature, and that its source is empty; it is not called."""

    def _stub() -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    _stub.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in parameters])  # type: ignore[attr-defined]
    _stub.__qualname__ = _stub.__name__  # Airflow's own importer gives it this name too, and the DAG holds it
    return _stub
