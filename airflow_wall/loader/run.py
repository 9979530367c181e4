"""Check the `run` of a task, whose arguments are sent as JSON to a task handler in another process."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.language.markers import Import, Template, XComRef, plain
from airflow_wall.language.native import CONTEXT_NAMES
from airflow_wall.loader.faults import UNRESOLVED, Faults


def check_run(run: Mapping[str, Any], task: Mapping[str, Any], loc: Loc, faults: Faults) -> None:
    """
    Note the faults in the `run` of a task.

    :param run: Its arguments, with markers replaced by their objects.
    :param task: The task, as written.
    :param loc: The path of the task.
    """
    for key in ("uses", "with"):
        if task.get(key):
            faults.add((*loc, "run"), f"does not go with `{key}`", "remove one of them", of_key=True)
    for name, value in run.items():
        at = (*loc, "run", name)
        if not name.isidentifier() or keyword.iskeyword(name):
            faults.add(at, "is not a valid name of a parameter", "use letters, digits and `_`", of_key=True)
        elif name in CONTEXT_NAMES:
            faults.add(at, "is taken by Airflow's context", "give the parameter another name", of_key=True)
        _check(value, at, faults)


def _check(value: Any, loc: Loc, faults: Faults) -> None:
    if isinstance(value, XComRef):
        if value.key is not None:
            faults.add(loc, "cannot name the `key` of an XCom", "only what the task returned can be passed on")
    elif not _check_markers(value, loc, faults):
        try:
            json.dumps(plain(value), allow_nan=False)
        except ValueError:
            faults.add(loc, "cannot be passed on as JSON: it has no infinite numbers", "quote it to pass it as text")
        except TypeError as error:
            faults.add(loc, f"cannot be passed on as JSON: {error}", "quote it to pass it as text")


def _check_markers(value: Any, loc: Loc, faults: Faults) -> bool:
    """Note every marker that cannot be passed on. Return True if there is one, or a value whose fault is noted."""
    if isinstance(value, Import):
        faults.add(loc, "cannot be a Python object", "write the value itself")
    elif isinstance(value, Template):
        faults.add(loc, "cannot be a template: it is not filled in before it is passed on", "write the value itself")
    elif isinstance(value, XComRef):
        faults.add(loc, "cannot hold `$x` inside a value", "give it a parameter of its own")
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        results = [_check_markers(item, (*loc, key), faults) for key, item in pairs]  # a list, to note every fault
        return any(results)
    return isinstance(value, Template | XComRef | Import) or value is UNRESOLVED
