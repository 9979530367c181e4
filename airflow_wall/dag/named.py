"""
Check everything that a plan names besides its operators: timetables, notifiers, callbacks, deadlines, `$import`, pods.

`airflow-wall validate --operators` makes each of these objects as the build of a DAG does, and reports all faults.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow.sdk import BaseOperator

from airflow_wall.dag.callables import built_callbacks, constructed, faults_of
from airflow_wall.dag.dag_arguments import MACROS, built_macros
from airflow_wall.dag.deadline import built_deadlines
from airflow_wall.dag.imports import imported
from airflow_wall.dag.notify import notices
from airflow_wall.dag.pod import built_pods
from airflow_wall.dag.schedule import built_schedule
from airflow_wall.dag.signatures import operators_of
from airflow_wall.dag.task_arguments import built_arguments
from airflow_wall.diagnostics.faults import Fault, FaultyText, Loc
from airflow_wall.diagnostics.suggestions import did_you_mean
from airflow_wall.errors import WallError
from airflow_wall.language.markers import Import
from airflow_wall.language.operator import RetryRules
from airflow_wall.planner.named_code import Allows, names_in
from airflow_wall.planner.plan import Plan


def faults_of_names(plan: Plan, allows: Allows) -> Iterator[Fault]:
    """Yield the faults of everything that a plan names, operators included. What is not allowed is not imported."""
    operators, faults = operators_of(plan)
    yield from faults
    yield from _faults_of_head(plan, allows)
    for task in plan.tasks:
        yield from _faults_of_settings(task.settings, plan, task.loc, allows)
        for key, block in (("with", task.arguments), *task.mapped.items()):
            yield from _faults_of_imports(block, plan, (*task.loc, key), allows)
        kind = operators.get(task.uses)
        if kind is not None and not plan.is_native:
            yield from _faults_of_pods(kind, task.arguments, plan, (*task.loc, "with"))


def _faults_of_head(plan: Plan, allows: Allows) -> Iterator[Fault]:
    construct = functools.partial(constructed, code=plan.code)
    schedule = plan.arguments.get("schedule")
    if _all_allowed(schedule, allows):
        yield from _faults(lambda: _checked(built_schedule(plan, construct)), plan, ("schedule",))
    if plan.deadline and _all_allowed([plan.deadline, plan.notify], allows):
        yield from _faults(lambda: built_deadlines(plan, construct), plan, ("deadline",))
    for key, callbacks in (("on_success_callback", plan.on_success), ("on_failure_callback", plan.on_failure)):
        if callbacks and _all_allowed({key: list(callbacks)}, allows):
            yield from _faults(functools.partial(built_callbacks, callbacks, plan, (key,)), plan, (key,))
    for key in MACROS:
        macros = plan.arguments.get(key)
        if macros and all(map(allows, macros.values())):
            yield from _faults(functools.partial(built_macros, plan, key), plan, (key,))
    events = plan.notify.by_event() if plan.notify else {}
    for event, entries in events.items():
        if (event != "deadline" or not plan.deadline) and _all_allowed(entries, allows):
            yield from _faults(functools.partial(notices, plan, event), plan, ("notify", event))
    yield from _faults_of_settings(plan.default_args, plan, ("default_args",), allows)


def _checked(schedule: Any) -> None:
    """Raise an error for a timetable that rejects its own arguments, e.g. a text that is not a cron expression."""
    validate = getattr(schedule, "validate", None)
    if validate is not None:
        validate()


def _faults_of_settings(settings: Any, plan: Plan, loc: Loc, allows: Allows) -> Iterator[Fault]:
    for name, value in settings.items():
        if plan.is_native or not _all_allowed({name: value}, allows):
            continue
        yield from _faults(functools.partial(built_arguments, {name: value}, plan, loc), plan, (*loc, name))
        for number, rule in enumerate(value.rules if isinstance(value, RetryRules) else ()):
            for index, path in enumerate(rule.exception):
                at = (*loc, name, "rules", number, "exception", index)
                yield from _faults(functools.partial(_error_class, path), plan, at)


def _error_class(path: str) -> type[BaseException]:
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
        error_class = getattr(module, name, None)
    except ImportError as error:
        raise WallError(f"names `{path}`: {error}", hint="check the spelling") from error
    if not (isinstance(error_class, type) and issubclass(error_class, BaseException)):
        members = vars(module).items()
        errors = [key for key, value in members if isinstance(value, type) and issubclass(value, BaseException)]
        hint = did_you_mean(name, errors) or "name a class of errors, e.g. `builtins.TimeoutError`"
        raise WallError(f"names `{path}`, which is not a class of errors", hint=hint)
    return error_class


def _faults_of_imports(value: Any, plan: Plan, loc: Loc, allows: Allows) -> Iterator[Fault]:
    if isinstance(value, Import):
        if allows(value.reference):
            make = functools.partial(imported, value.reference, plan.code, key="$import")
            yield from _faults(make, plan, (*loc, "$import"))
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _faults_of_imports(item, plan, (*loc, key), allows)


def _faults_of_pods(kind: type[BaseOperator], arguments: Any, plan: Plan, loc: Loc) -> Iterator[Fault]:
    yield from _faults(functools.partial(built_pods, kind, arguments, plan.places, loc), plan, loc)


def _all_allowed(value: Any, allows: Allows) -> bool:
    return all(allows(name) for name in names_in(value))


def _faults(make: Callable[[], Any], plan: Plan, loc: Loc) -> Iterable[Fault]:
    """Return the faults of making an object; `loc` is the path of an error that has none."""
    try:
        make()
    except FaultyText as error:
        return error.faults
    except WallError as error:
        return faults_of(error, plan, loc, "cannot be used")
    except Exception as error:
        return faults_of(error, plan, loc, "cannot be made")
    return ()
