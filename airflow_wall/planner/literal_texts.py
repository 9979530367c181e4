"""Warn of texts that a shell or another tool would replace, and that are literal here: `$LAKE`, `~`, `task.output`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airflow_wall.diagnostics.faults import Fault, Loc
from airflow_wall.language.document import Spec
from airflow_wall.language.markers import Const, Marker, Template
from airflow_wall.planner.plan import Plan

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})|~(?=/|$)")
_HEAD = ("storage", "requirements", "python", "image", "include")
_TEXTS = frozenset(("sql", "query", "checks", "where", "message", "parameters", "options", "holdout", "contract"))
"""Keys of steps whose text may hold a `$` with another meaning."""


_RESULT = re.compile(r"\+(\w[\w.-]*)|(\w[\w.-]*)\.output")
"""The result of a task, as dag-factory writes it."""


def literal_texts(spec: Spec, planned: Plan | None) -> Iterator[Fault]:
    """Yield a warning for each value that stays text, and is probably meant as something else."""
    yield from _shell_variables(spec, planned)
    ids = {task.task_id for task in planned.tasks} if planned is not None else set()
    for task in planned.tasks if planned is not None else ():
        if "." in task.uses:
            for key, block in (("with", task.arguments), *task.mapped.items()):
                yield from _objects(block, (*task.loc, key), spec, ids, task.task_id)


def _objects(value: Any, loc: Loc, spec: Spec, ids: set[str], own: str) -> Iterator[Fault]:
    """
    Yield a warning for each result of another task, and each object, in the format of dag-factory.

    :param own: The id of the task.
    """
    if isinstance(value, str):
        match = _RESULT.fullmatch(value) if "+" in value[:1] or value.endswith(".output") else None
        name = (match[1] or match[2]) if match is not None else None
        if name in ids and name != own:
            message = f"holds `{value}`, which stays text here: it is not the result of `{name}`"
            yield spec.places.fault(loc, message, f"write {{$x: {name}}} to mean what the task returns")
    elif isinstance(value, dict) and "__type__" in value:
        hint = 'write plain values, or name an object of a Python file beside the pipeline by {$import: "module:name"}'
        yield spec.places.fault((*loc, "__type__"), "is an ordinary key here: it makes no object", hint, of_key=True)
    elif isinstance(value, dict | list) and not isinstance(value, Marker):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _objects(item, (*loc, key), spec, ids, own)


def _shell_variables(spec: Spec, planned: Plan | None) -> Iterator[Fault]:
    """Yield a warning for each path or name with a variable of a shell."""
    document = spec.document.value
    for key in _HEAD:
        yield from _in(document.get(key), (key,), spec)
    for task in planned.tasks if planned is not None else ():
        if "." not in task.uses:
            for key, value in task.arguments.items():
                if key not in _TEXTS:
                    yield from _in(value, (*task.loc, "with", key), spec)


def _in(value: Any, loc: Loc, spec: Spec) -> Iterator[Fault]:
    if isinstance(value, Template | Const):
        return
    if isinstance(value, str):
        match = _VARIABLE.match(value) if value.startswith("~") else _VARIABLE.search(value) if "$" in value else None
        if match is not None and not (match.group() == "~" and match.start()):
            name = match[1] or match[2]
            hint = "write the absolute path"
            if name is not None:
                hint = f"write `${{{{ env.{name} }}}}`, and add `{name}` to the setting `[wall] allowed_env`"
            message = f"holds `{match.group()}`, which stays text here: no shell reads it"
            yield spec.places.fault(loc, message, hint)
    elif isinstance(value, dict | list) and not isinstance(value, Marker):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in _TEXTS:
                yield from _in(item, (*loc, key), spec)
