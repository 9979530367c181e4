"""Arguments of `DAG` that are built from values of the YAML instead of passed on unchanged."""

from __future__ import annotations

import os
from typing import Any

from airflow_wall.dag.callables import built_callbacks
from airflow_wall.dag.deadline import built_deadlines
from airflow_wall.dag.early_reads import notice
from airflow_wall.dag.notify import notifications
from airflow_wall.dag.schedule import Construct, built_schedule
from airflow_wall.dag.values import built_params
from airflow_wall.language.document import Origin
from airflow_wall.planner.plan import Plan


def head_arguments(plan: Plan, construct: Construct) -> dict[str, Any]:
    """
    Return these arguments; `construct` creates the objects that the YAML names by `uses`.

    :raises FaultyText: a callback, a notification or a deadline cannot be created; names it and its position.
    """
    arguments: dict[str, Any] = {"schedule": built_schedule(plan, construct), "doc_md": page(plan)}
    if "params" in plan.arguments:
        arguments["params"] = built_params(plan.arguments["params"])
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
