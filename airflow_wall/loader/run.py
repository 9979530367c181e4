"""What the `run` of a task may hold: its arguments travel to a task handler of another process as JSON."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import Any

from airflow_wall.loader.faults import UNRESOLVED, Faults
from airflow_wall.spec.markers import Const, FileText, Import, Template, XComRef
from airflow_wall.spec.native import CONTEXT_NAMES
from airflow_wall.text.faults import Loc


def check_run(run: Mapping[str, Any], task: Mapping[str, Any], loc: Loc, faults: Faults) -> None:
    """
    Note what is wrong with the `run` of a task.

    :param run: Its arguments, markers made.
    :param task: The task, as written.
    :param loc: Where the task stands.
    """
    for key in ("uses", "with"):
        if task.get(key):
            faults.add((*loc, "run"), f"does not go with `{key}`", "remove one of them", of_key=True)
    for name, value in run.items():
        at = (*loc, "run", name)
        if not name.isidentifier() or keyword.iskeyword(name):
            faults.add(at, "is no name of a parameter", "use letters, digits and `_`", of_key=True)
        elif name in CONTEXT_NAMES:
            faults.add(at, "is taken by Airflow's context", "give the parameter another name", of_key=True)
        _check(value, at, faults)


def _check(value: Any, loc: Loc, faults: Faults) -> None:
    if isinstance(value, XComRef):
        if value.key is not None:
            faults.add(loc, "cannot name the `key` of an XCom", "only what the task returned can be passed on")
    elif not _check_markers(value, loc, faults):
        try:
            json.dumps(_plain(value), allow_nan=False)
        except (TypeError, ValueError) as error:
            faults.add(loc, f"cannot be passed on as JSON: {error}", "quote it to pass it as text")


def _check_markers(value: Any, loc: Loc, faults: Faults) -> bool:
    """Note every marker that cannot be passed on. Return whether there is any, or a fault noted before."""
    if isinstance(value, Import):
        faults.add(loc, "cannot be a Python object", "write the value itself")
    elif isinstance(value, Template):
        faults.add(loc, "cannot be a template: it is not filled in before it is passed on", "write the value itself")
    elif isinstance(value, XComRef):
        faults.add(loc, "cannot hold `$x` inside a value", "give it a parameter of its own")
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        found = [_check_markers(each, (*loc, key), faults) for key, each in pairs]
        return any(found)
    return isinstance(value, Template | XComRef | Import) or value is UNRESOLVED


def _plain(value: Any) -> Any:
    if isinstance(value, FileText):
        return value.text
    if isinstance(value, Const):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
