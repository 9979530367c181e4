"""The extras of airflow-wall that the steps of a pipeline need, checked before a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import EnvironmentFault
from airflow_wall.language.cluster_registry import CLUSTERS
from airflow_wall.language.environment import KEYS
from airflow_wall.language.step_registry import STEPS
from airflow_wall.planner.plan import Plan, TaskPlan


def check_extras(plan: Plan) -> None:
    """
    Check that the packages of the steps are installed, before a run begins.

    :raises EnvironmentFault: some are not; names the tasks, the packages and the extra.
    """
    tasks: dict[str, list[str]] = {}
    packages: dict[str, dict[str, None]] = {}
    for task in plan.tasks:
        extra, modules = _needs(task)
        missing = [module for module in modules if not _is_installed(module)]
        if missing:
            tasks.setdefault(extra, []).append(task.task_id)
            packages.setdefault(extra, {}).update(dict.fromkeys(missing))
    if tasks:
        extra = next(iter(tasks))
        needed = f"{listed(tasks[extra], 5)} need{'s' if len(tasks[extra]) == 1 else ''} {listed(packages[extra])}"
        raise EnvironmentFault(
            f"{needed}, which is not installed here" if len(packages[extra]) == 1 else f"{needed}, not installed here",
            hint=f"run `pip install 'airflow-wall[{','.join(tasks)}]'`",
        )


def _needs(task: TaskPlan) -> tuple[str, tuple[str, ...]]:
    """Return the extra that a task needs in the worker, and its modules; no modules if another place does the work."""
    if task.uses == "start_cluster":
        cluster = task.arguments.get("cluster")
        values = cluster if isinstance(cluster, Mapping) else cluster.model_dump() if cluster is not None else {}
        kind = CLUSTERS.get(str(values.get("type")))
        if kind is None or values.get("python"):  # an interpreter of its own has the packages
            return "local", ()
        return getattr(kind, "needs_extra", "local"), getattr(kind, "packages", ())
    elsewhere = any(task.arguments.get(key) for key in (*KEYS, "cluster"))
    return "local", () if elsewhere or task.uses not in STEPS else STEPS[task.uses].packages


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False
