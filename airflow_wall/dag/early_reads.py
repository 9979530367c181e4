"""Tasks that read a table before the tasks that write or check it: warnings at first, errors from one release on."""

from __future__ import annotations

import logging

from airflow_wall.diagnostics.faults import Fault
from airflow_wall.planner.plan import Plan

log = logging.getLogger(__name__)

ERROR_FROM = "0.2.0"
"""The first release that rejects a file with such a task."""

_LISTED = 5


def rejected(plan: Plan) -> list[Fault]:
    """Return the faults of these tasks, or none in a release in which they are only warnings."""
    if not plan.missing_needs:
        return []
    from packaging.version import Version  # imported only for a file with such a task

    is_error = Version(installed_version()).release >= Version(ERROR_FROM).release
    return [missing.fault for missing in plan.missing_needs] if is_error else []


def installed_version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import version

    return version("airflow-wall")


def warn(plan: Plan) -> None:
    """Log these tasks as warnings."""
    for missing in plan.missing_needs:
        log.warning("warning%s", missing.fault.render().removeprefix("error"))


def notice(plan: Plan) -> str:
    """Return the notice of these tasks for the page of the DAG; empty if there are none."""
    if not plan.missing_needs:
        return ""
    lines = "".join(
        f"> - line {missing.fault.place.line}: {missing.fault.message}; {missing.fault.hint}\n"
        for missing in plan.missing_needs[:_LISTED]
    )
    return (
        "> **Tasks read tables too early.** `airflow-wall validate --fix` adds the `needs`. "
        f"Release {ERROR_FROM} rejects this file.\n>\n{lines}\n"
    )
