"""Arguments of `DAG` that are built from values of the YAML instead of passed on unchanged."""

from __future__ import annotations

import os
from typing import Any

from airflow_wall.dag.callables import built_callbacks
from airflow_wall.dag.deadline import built_deadlines
from airflow_wall.dag.early_reads import notice
from airflow_wall.dag.imports import imported
from airflow_wall.dag.notify import notifications
from airflow_wall.dag.schedule import Construct, built_schedule
from airflow_wall.dag.values import built_params
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.errors import WallError
from airflow_wall.language.document import Origin
from airflow_wall.planner.plan import Plan

MACROS = ("user_defined_macros", "user_defined_filters")
"""Keys of the pipeline that name Python for templates."""


def head_arguments(plan: Plan, construct: Construct) -> dict[str, Any]:
    """
    Return these arguments; `construct` creates the objects that the YAML names by `uses`.

    :raises FaultyText: a callback, a notification or a deadline cannot be created; names it and its position.
    """
    arguments: dict[str, Any] = {"schedule": built_schedule(plan, construct), "doc_md": page(plan)}
    if "params" in plan.arguments:
        arguments["params"] = built_params(plan.arguments["params"])
    for key in MACROS:
        if key in plan.arguments:
            arguments[key] = built_macros(plan, key)
    if plan.deadline:
        arguments["deadline"] = built_deadlines(plan, construct)
    # On the DAG, not on its tasks: Airflow calls no callback of a task that was killed.
    for argument, callbacks, event in (
        ("on_success_callback", plan.on_success, "success"),
        ("on_failure_callback", plan.on_failure, "failure"),
    ):
        functions = [*built_callbacks(callbacks, plan, (argument,)), *notifications(plan, event)]
        if functions:
            arguments[argument] = functions
    return arguments


def built_macros(plan: Plan, key: str) -> dict[str, Any]:
    """
    Return the objects that templates may use besides Airflow's, by name.

    :param key: `user_defined_macros` or `user_defined_filters`.
    :raises FaultyText: one is missing, or is a filter and cannot be called.
    """
    objects: dict[str, Any] = {}
    faults = []
    for name, reference in plan.arguments[key].items():
        try:
            objects[name] = imported(reference, plan.code, key=key)
        except WallError as error:
            reason = error.message.removeprefix(f"`{key}` `{reference}`: ")
            faults.append(plan.places.fault((key, name), f"names `{reference}`: {reason}", error.hint))
        else:
            if key == "user_defined_filters" and not callable(objects[name]):
                message = f"names `{reference}`, which cannot be called"
                faults.append(plan.places.fault((key, name), message, "name a function that takes the value"))
    if faults:
        raise FaultyText(faults, plan.text)
    return objects


def page(plan: Plan) -> str:
    """Return the documentation page of the DAG in the UI: the file's own `doc_md`, then the text of the file."""
    doc = plan.arguments.get("doc_md")
    environment = f" · environment `{plan.environment}`" if plan.environment else ""
    fence = "```"
    while fence in plan.text:
        fence += "`"
    sources = "".join(f"- `{origin.key}` from {_place(origin, plan)}\n" for origin in plan.origins)
    built = (
        f"Built by airflow-wall from `{plan.path.name}`{environment}\n\n{sources and sources + chr(10)}"
        f"{fence}yaml\n{plan.text}\n{fence}\n"
    )
    return f"{notice(plan)}{doc}\n\n{built}" if doc else f"{notice(plan)}{built}"


def provenance(plan: Plan) -> str | None:
    """Return one line with the active environment and the sources of its values; None if there are neither."""
    if plan.environment is None and not plan.origins:
        return None
    environment = f"environment `{plan.environment}`" if plan.environment else "no environment"
    sources = ", ".join(f"`{origin.key}` from {_place(origin, plan)}" for origin in plan.origins)
    return f"pipeline `{plan.dag_id}`: {environment}{'; ' if sources else ''}{sources}"


def _place(origin: Origin, plan: Plan) -> str:
    # Relative: the directory differs between hosts, which must not create another version of the DAG.
    path = os.path.relpath(origin.path, plan.path.parent)
    environment = f" (environment `{origin.environment}`)" if origin.environment else ""
    return f"`{path}:{origin.line}`{environment}"
