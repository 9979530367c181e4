"""A Plan: the tasks of one pipeline, their arguments and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_wall.diagnostics.faults import Fault, Loc, SourcePosition
from airflow_wall.lake.lake import Lake
from airflow_wall.language.callables import Callback
from airflow_wall.language.deadline import Deadline
from airflow_wall.language.document import Origin
from airflow_wall.language.notify import Notify
from airflow_wall.planner.data_order import MissingNeeds
from airflow_wall.text.places import Places

EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"
"""Operator of a task without `uses`."""

DAG_ARGUMENTS = (
    "description", "dag_display_name", "schedule", "start_date", "end_date", "catchup", "tags", "doc_md", "owner_links",
    "params", "max_active_runs", "max_active_tasks", "max_consecutive_failed_dag_runs", "fail_fast",
    "is_paused_upon_creation", "dagrun_timeout", "allowed_run_types", "render_template_as_native_obj", "access_control",
    "disable_bundle_versioning", "rerun_with_latest_version", "user_defined_macros", "user_defined_filters",
)  # fmt: skip
"""Keys of the head that `DAG` takes under the same name."""


@dataclass(frozen=True)
class TaskPlan:
    """
    A planned task: its operator, its arguments and its upstream tasks.

    :param task_id: Full id.
    :param uses: A step's bare name, or an operator's dotted path.
    :param arguments: Arguments of the step or operator. They may hold markers, which name tasks by full id.
    :param settings: Arguments of `BaseOperator`, from its own keys and its groups' `default_args`.
    :param upstream: Full ids of its direct upstream tasks, sorted.
    :param group: Full id of its group; None at the top.
    :param closes: Full id of the task it cleans up after. It then runs whether or not the tasks in between succeed.
    :param place: Its position in the file.
    :param loc: Its path in the document.
    :param run: Arguments for a task handler outside Airflow; None if an operator does the work.
    :param mapped: `expand` or `expand_kwargs` of a mapped task. They may hold markers, like `arguments`.
    :param setup: True for a setup task.
    :param teardown: Full ids of the setup tasks it cleans up after; None if it is not a teardown.
    :param on_failure_fail_dagrun: True if the run fails when this teardown fails.
    """

    task_id: str
    uses: str
    arguments: Mapping[str, Any]
    settings: Mapping[str, Any]
    upstream: tuple[str, ...]
    group: str | None
    closes: str | None
    place: SourcePosition
    loc: Loc = ()
    run: Mapping[str, Any] | None = None
    mapped: Mapping[str, Any] = field(default_factory=dict)
    setup: bool = False
    teardown: tuple[str, ...] | None = None
    on_failure_fail_dagrun: bool = False

    @property
    def cleans_up(self) -> bool:
        """Return True if it is a clean-up task, which runs even after failures."""
        return self.closes is not None or self.teardown is not None


@dataclass(frozen=True)
class GroupPlan:
    """
    One task group.

    :param group_id: Full id.
    :param parent: Full id of the group it is in; None at the top.
    :param arguments: Arguments of `TaskGroup`, from its own keys.
    :param loc: Its path in the document.
    """

    group_id: str
    parent: str | None
    arguments: Mapping[str, Any]
    loc: Loc = ()


@dataclass(frozen=True)
class Plan:
    """
    One pipeline, ready to be built.

    :param dag_id: Its id.
    :param path: Its file, as the caller named it.
    :param place: Position of its `dag_id`.
    :param arguments: Arguments of `DAG` from the file, by Airflow's names.
    :param default_args: Default arguments of all tasks.
    :param timezone: The time zone of its schedule.
    :param groups: Its groups, each after its parent group.
    :param tasks: Its tasks in topological order.
    :param storage: Its lake.
    :param project: Absolute path of the directory that relative paths of connections start from.
    :param code: Absolute path of the directory of its file.
    :param environment: The environment in force, if the file has any.
    :param text: Its text, for the page of the DAG.
    :param places: Positions of its values in the text.
    :param warnings: Faults that are allowed, but are probably a mistake.
    :param missing_needs: Tasks that read a table before the tasks that write or check it.
    :param on_success: Callbacks for a run that succeeds.
    :param on_failure: Callbacks for a run that fails.
    :param notify: Notifications: events, channels and messages.
    :param deadline: Deadlines of a run.
    :param is_native: True for a file in Airflow's own format: its arguments are passed on unchanged, without defaults.
    :param origins: Sources of the values that come from its environment or from an included file.
    :param allowed_connections: Patterns of the connections that its steps may read; None: any.
    """

    dag_id: str
    path: Path
    place: SourcePosition
    arguments: Mapping[str, Any]
    default_args: Mapping[str, Any]
    timezone: str
    groups: tuple[GroupPlan, ...]
    tasks: tuple[TaskPlan, ...]
    storage: Lake
    project: Path
    code: Path
    environment: str | None
    text: str = field(repr=False)
    places: Places = field(repr=False, compare=False)
    warnings: tuple[Fault, ...] = ()
    missing_needs: tuple[MissingNeeds, ...] = ()
    on_success: tuple[Callback, ...] = ()
    on_failure: tuple[Callback, ...] = ()
    notify: Notify | None = None
    deadline: tuple[Deadline, ...] = ()
    is_native: bool = False
    origins: tuple[Origin, ...] = ()
    allowed_connections: tuple[str, ...] | None = None

    @property
    def run_timeout(self) -> timedelta | None:
        """Return the time limit for the work of a run with clean-up tasks: Airflow's own timeout would skip these."""
        limit: timedelta | None = self.arguments.get("dagrun_timeout")
        return limit if any(task.cleans_up for task in self.tasks) else None
