"""
A document in Airflow's own YAML format, which its `$schema` declares.

These are facts of that format and of the supported versions of Airflow. A test compares them with Airflow's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.diagnostics.faults import Loc
from airflow_wall.language import markers
from airflow_wall.language.callables import Constructed
from airflow_wall.language.operator import EXECUTOR, NATIVE, USER
from airflow_wall.language.pipeline import ACCESS
from airflow_wall.text.kinds import Beyond, FieldKind, Rule

SCHEMA_KEY = "$schema"
SCHEMA_PREFIX = "https://airflow.apache.org/schemas/dag/"

MARKERS = {key: kind for key, kind in markers.MARKERS.items() if kind is not markers.Import}
"""The markers of the format."""

EDITIONS = ("2026-10-30",)
"""Published editions of the format, oldest first. All are read in the same way so far."""

FORMAT_KEYS = (SCHEMA_KEY, "dag_id", "schedule", "templates", "tasks")
"""Keys at the top of a document that are not arguments of `DAG`."""

TASK_KEYS = ("id", "uses", "run", "with", "needs", "extends")
"""Keys of a task that are not arguments of `BaseOperator`."""

_CODE = Beyond("can call any function")
_TEMPLATES = Beyond("says where templates come from and what they can call")

DAG_KINDS: Mapping[str, Rule] = {
    **dict.fromkeys((
        "allowed_run_types", "auto_register", "catchup", "dag_display_name", "dagrun_timeout", "description",
        "disable_bundle_versioning", "doc_md", "end_date", "fail_fast", "is_paused_upon_creation", "max_active_runs",
        "max_active_tasks", "max_consecutive_failed_dag_runs", "owner_links", "params", "rerun_with_latest_version",
        "start_date", "tags",
    ), FieldKind.PLAIN),
    **dict.fromkeys(("deadline", "sla_miss_callback", "task_group"), _CODE),
    **dict.fromkeys((
        "jinja_environment_kwargs", "template_searchpath", "template_undefined", "user_defined_filters",
        "user_defined_macros",
    ), _TEMPLATES),
    "access_control": ACCESS,
    "render_template_as_native_obj": NATIVE,
}  # fmt: skip
"""Arguments of `DAG` that such a document may set, with their kinds."""

DAG_ARGUMENTS = frozenset(DAG_KINDS)

_TASK_KINDS: Mapping[str, Rule] = {
    **dict.fromkeys((
        "allow_nested_operators", "depends_on_past", "do_xcom_push", "doc", "doc_json", "doc_md", "doc_rst", "doc_yaml",
        "email", "email_on_failure", "email_on_retry", "end_date", "execution_timeout", "executor",
        "ignore_first_depends_on_past", "logger_name", "max_active_tis_per_dag", "max_active_tis_per_dagrun",
        "max_retry_delay", "multiple_outputs", "owner", "params", "pool", "pool_slots", "priority_weight", "queue",
        "resources", "retries", "retry_delay", "retry_exponential_backoff", "sla", "start_date", "task_display_name",
        "trigger_rule", "wait_for_downstream", "wait_for_past_depends_before_skipping", "weight_rule",
    ), FieldKind.PLAIN),
    **dict.fromkeys(("post_execute", "pre_execute", "retry_policy"), _CODE),
    "executor_config": EXECUTOR,
    "map_index_template": FieldKind.TEMPLATE,
    "render_template_as_native_obj": NATIVE,
    "run_as_user": USER,
}  # fmt: skip

TASK_ARGUMENTS = frozenset(_TASK_KINDS)
"""Arguments of `BaseOperator` that a task may set."""

RESERVED = frozenset(("task_id", "dag", "task_group", "default_args"))
"""Arguments of `BaseOperator` that Airflow's importer itself sets."""

DAG_DEFERRED = frozenset(("on_success_callback", "on_failure_callback"))
"""Arguments of `DAG` that the format does not accept yet."""

TASK_DEFERRED = frozenset((
    "inlets", "outlets", "on_success_callback", "on_failure_callback", "on_retry_callback", "on_execute_callback",
    "on_skipped_callback",
))  # fmt: skip
"""Arguments of `BaseOperator` that the format does not accept yet."""

TASK_KINDS: Mapping[str, Rule] = {
    **_TASK_KINDS,
    **dict.fromkeys((*TASK_DEFERRED, "default_args", "dag", "task_group"), _CODE),
}
"""All arguments of `BaseOperator`, with their kinds."""

CONTEXT_NAMES = frozenset((
    "asset_state_store", "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds",
    "ds_nodash", "exception", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros",
    "map_index_template", "outlet_events", "outlets", "params", "partition_date", "partition_key",
    "prev_data_interval_end_success", "prev_data_interval_start_success", "prev_end_date_success",
    "prev_start_date_success", "reason", "run_id", "task", "task_instance", "task_instance_key_str",
    "task_reschedule_count", "task_state_store", "templates_dict", "test_mode", "ti", "triggering_asset_events",
    "try_number", "ts", "ts_nodash", "ts_nodash_with_tz", "var",
))  # fmt: skip
"""Names in the context of a task, which an argument of `run` may not have."""


@dataclass(frozen=True)
class NativeTask:
    """
    One task.

    :param id: Its id.
    :param needs: Ids of the tasks before it, each with its path in the document.
    :param uses: Dotted path of its operator; None for an empty task.
    :param arguments: The `with`, with markers replaced by their objects.
    :param run: Arguments of a task handler, with markers replaced by their objects; None without one.
    :param settings: Arguments of `BaseOperator`.
    :param loc: Its path in the document.
    """

    id: str
    needs: tuple[tuple[str, Loc], ...]
    uses: str | None
    arguments: Mapping[str, Any]
    run: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    loc: Loc


@dataclass(frozen=True)
class NativePipeline:
    """
    A whole document.

    :param schedule: The text as written, or the timetable to construct.
    :param arguments: Arguments of `DAG`.
    :param tasks: Its tasks in the order of the file.
    """

    schedule: str | Constructed | None
    arguments: Mapping[str, Any]
    tasks: tuple[NativeTask, ...]
