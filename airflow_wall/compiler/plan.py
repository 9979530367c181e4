"""A Plan: which tasks there are, what each is given, and which comes before which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_wall.spec.callables import Callback
from airflow_wall.spec.deadline import Deadline
from airflow_wall.spec.document import Origin
from airflow_wall.spec.notify import Notify
from airflow_wall.text.faults import Fault, Loc, Place
from airflow_wall.text.places import Places

EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"
"""What a task without `uses` is."""

DAG_ARGUMENTS = (
    "description", "dag_display_name", "schedule", "start_date", "end_date", "catchup", "tags", "doc_md", "owner_links",
    "params", "max_active_runs", "max_active_tasks", "max_consecutive_failed_dag_runs", "fail_fast",
    "is_paused_upon_creation", "dagrun_timeout", "allowed_run_types", "render_template_as_native_obj", "access_control",
    "disable_bundle_versioning", "rerun_with_latest_version",
)  # fmt: skip
"""Keys of the head that `DAG` takes under the same name."""


@dataclass(frozen=True)
class TaskPlan:
    """
    One task.

    :param task_id: Full id.
    :param uses: A step's bare name, or an operator's dotted path.
    :param arguments: What the step or operator is given; may hold markers, whose tasks are full ids.
    :param settings: Arguments of `BaseOperator` that its own keys and its groups' `default_args` give.
    :param upstream: Full ids of the tasks right before it, sorted.
    :param group: Full id of its group; None at the top.
    :param closes: Full id of the task it cleans up after; it then runs whatever happened in between.
    :param place: Where it stands in the file.
    :param loc: Where it stands in the document.
    :param run: What a task handler outside Airflow is given; None where an operator does the work.
    :param mapped: `expand` or `expand_kwargs`, if tasks are made of it when it runs; may hold markers as `arguments`.
    :param setup: Whether it sets up what another cleans up.
    :param teardown: Full ids of the setup tasks it cleans up after; None where it is no teardown.
    :param on_failure_fail_dagrun: Whether the run fails where this teardown does.
    """

    task_id: str
    uses: str
    arguments: Mapping[str, Any]
    settings: Mapping[str, Any]
    upstream: tuple[str, ...]
    group: str | None
    closes: str | None
    place: Place
    loc: Loc = ()
    run: Mapping[str, Any] | None = None
    mapped: Mapping[str, Any] = field(default_factory=dict)
    setup: bool = False
    teardown: tuple[str, ...] | None = None
    on_failure_fail_dagrun: bool = False

    @property
    def cleans_up(self) -> bool:
        """Whether it runs whatever happened before, to end what another has begun."""
        return self.closes is not None or self.teardown is not None


@dataclass(frozen=True)
class GroupPlan:
    """
    One task group.

    :param group_id: Full id.
    :param parent: Full id of the group it is in; None at the top.
    :param arguments: Arguments of `TaskGroup` that its own keys give.
    :param loc: Where it stands in the document.
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
    :param place: Where its `dag_id` stands.
    :param arguments: Arguments of `DAG` that the file gives, by Airflow's names.
    :param default_args: Arguments of all tasks that do not say otherwise.
    :param timezone: The zone of its schedule.
    :param groups: Its groups, each after the group it is in.
    :param tasks: Its tasks, each after the tasks before it.
    :param storage: Absolute path of its lake.
    :param project: Absolute path that relative paths of connections are under.
    :param code: Absolute path of its folder.
    :param environment: The environment in force, if the file has any.
    :param text: Its text, for the page of the DAG.
    :param places: Where its values stand in the text.
    :param warnings: What is allowed, but probably not meant.
    :param on_success: What is called when a run has succeeded.
    :param on_failure: What is called when a run has failed.
    :param notify: Who is told of what, and how.
    :param deadline: By when a run must have ended.
    :param is_native: Whether it is in Airflow's own format: its arguments are given as they are, and no other.
    :param origins: Where its values come from that its environment or an include brings.
    """

    dag_id: str
    path: Path
    place: Place
    arguments: Mapping[str, Any]
    default_args: Mapping[str, Any]
    timezone: str
    groups: tuple[GroupPlan, ...]
    tasks: tuple[TaskPlan, ...]
    storage: Path
    project: Path
    code: Path
    environment: str | None
    text: str = field(repr=False)
    places: Places = field(repr=False, compare=False)
    warnings: tuple[Fault, ...] = ()
    on_success: tuple[Callback, ...] = ()
    on_failure: tuple[Callback, ...] = ()
    notify: Notify | None = None
    deadline: tuple[Deadline, ...] = ()
    is_native: bool = False
    origins: tuple[Origin, ...] = ()

    @property
    def run_timeout(self) -> timedelta | None:
        """How long the work of a run with a clean-up may take: Airflow's own `dagrun_timeout` would leave that out."""
        limit: timedelta | None = self.arguments.get("dagrun_timeout")
        return limit if any(task.cleans_up for task in self.tasks) else None
