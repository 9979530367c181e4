"""Arguments of `DAG` that are made of what the YAML says, not handed on."""

from __future__ import annotations

import os
from typing import Any

from airflow_wall.compiler.assets import Construct
from airflow_wall.compiler.callables import built_callbacks
from airflow_wall.compiler.deadline import built_deadlines
from airflow_wall.compiler.notify import notifications
from airflow_wall.compiler.params import built_params
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.schedule import built_schedule
from airflow_wall.spec.document import Origin


def head_arguments(plan: Plan, construct: Construct) -> dict[str, Any]:
    """
    Make them; `construct` makes what the YAML names by `uses`.

    :raises FaultyText: a callback, a notification or a deadline cannot be made; says which, where.
    """
    made: dict[str, Any] = {"schedule": built_schedule(plan, construct), "doc_md": page(plan)}
    if "params" in plan.arguments:
        made["params"] = built_params(plan.arguments["params"])
    if plan.deadline:
        made["deadline"] = built_deadlines(plan, construct)
    # On the DAG, not on its tasks: of a task that was killed Airflow calls no callback.
    for argument, callbacks, event in (
        ("on_success_callback", plan.on_success, "success"),
        ("on_failure_callback", plan.on_failure, "failure"),
    ):
        called = [*built_callbacks(callbacks, plan, (argument,)), *notifications(plan, event)]
        if called:
            made[argument] = called
    return made


def page(plan: Plan) -> str:
    """The page of the DAG in the UI: what the file says of itself, then the file."""
    said = plan.arguments.get("doc_md")
    environment = f" · environment `{plan.environment}`" if plan.environment else ""
    fence = "```"
    while fence in plan.text:
        fence += "`"
    came = "".join(f"- `{origin.key}` from {_place(origin, plan)}\n" for origin in plan.origins)
    built = (
        f"Built by airflow-wall from `{plan.path.name}`{environment}\n\n{came and came + chr(10)}"
        f"{fence}yaml\n{plan.text}\n{fence}\n"
    )
    return f"{said}\n\n{built}" if said else built


def provenance(plan: Plan) -> str | None:
    """Which environment is in force and where its values come from, in one line; None where there is nothing to say."""
    if plan.environment is None and not plan.origins:
        return None
    environment = f"environment `{plan.environment}`" if plan.environment else "no environment"
    came = ", ".join(f"`{origin.key}` from {_place(origin, plan)}" for origin in plan.origins)
    return f"pipeline `{plan.dag_id}`: {environment}{'; ' if came else ''}{came}"


def _place(origin: Origin, plan: Plan) -> str:
    # Relative: where the folder lies on one host must not make another version of the DAG.
    path = os.path.relpath(origin.path, plan.path.parent)
    laid_over = f" (environment `{origin.environment}`)" if origin.environment else ""
    return f"`{path}:{origin.line}`{laid_over}"
