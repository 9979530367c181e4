"""
A document in Airflow's own YAML format, which its `$schema` marks.

These are facts of that format and of the Airflows that are supported; a test compares them with Airflow's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_wall.spec import markers
from airflow_wall.spec.callables import Constructed
from airflow_wall.text.faults import Loc

SCHEMA_KEY = "$schema"
SCHEMA_PREFIX = "https://airflow.apache.org/schemas/dag/"

MARKERS = {key: kind for key, kind in markers.MARKERS.items() if kind is not markers.Import}
"""The markers that the format has."""

EDITIONS = ("2026-10-30",)
"""Published editions of the format, oldest first. All are read alike so far."""

FORMAT_KEYS = (SCHEMA_KEY, "dag_id", "schedule", "templates", "tasks")
"""Keys at the top of a document that are no arguments of `DAG`."""

TASK_KEYS = ("id", "uses", "run", "with", "needs", "extends")
"""Keys of a task that are no arguments of `BaseOperator`."""

DAG_ARGUMENTS = frozenset((
    "access_control", "allowed_run_types", "auto_register", "catchup", "dag_display_name", "dagrun_timeout", "deadline",
    "description", "disable_bundle_versioning", "doc_md", "end_date", "fail_fast", "is_paused_upon_creation",
    "jinja_environment_kwargs", "max_active_runs", "max_active_tasks", "max_consecutive_failed_dag_runs",
    "owner_links", "params", "render_template_as_native_obj", "rerun_with_latest_version", "sla_miss_callback",
    "start_date", "tags", "task_group", "template_searchpath", "template_undefined", "user_defined_filters",
    "user_defined_macros",
))  # fmt: skip
"""Arguments of `DAG` that such a document may give."""

TASK_ARGUMENTS = frozenset((
    "allow_nested_operators", "depends_on_past", "do_xcom_push", "doc", "doc_json", "doc_md", "doc_rst", "doc_yaml",
    "email", "email_on_failure", "email_on_retry", "end_date", "execution_timeout", "executor", "executor_config",
    "ignore_first_depends_on_past", "logger_name", "map_index_template", "max_active_tis_per_dag",
    "max_active_tis_per_dagrun", "max_retry_delay", "multiple_outputs", "owner", "params", "pool", "pool_slots",
    "post_execute", "pre_execute", "priority_weight", "queue", "render_template_as_native_obj", "resources", "retries",
    "retry_delay", "retry_exponential_backoff", "retry_policy", "run_as_user", "sla", "start_date",
    "task_display_name", "trigger_rule", "wait_for_downstream", "wait_for_past_depends_before_skipping", "weight_rule",
))  # fmt: skip
"""Arguments of `BaseOperator` that a task may give."""

RESERVED = frozenset(("task_id", "dag", "task_group", "default_args"))
"""Arguments of `BaseOperator` that the importer itself gives."""

DAG_DEFERRED = frozenset(("on_success_callback", "on_failure_callback"))
"""Arguments of `DAG` that the format does not take yet."""

TASK_DEFERRED = frozenset((
    "inlets", "outlets", "on_success_callback", "on_failure_callback", "on_retry_callback", "on_execute_callback",
    "on_skipped_callback",
))  # fmt: skip
"""Arguments of `BaseOperator` that the format does not take yet."""

CONTEXT_NAMES = frozenset((
    "asset_state_store", "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds",
    "ds_nodash", "exception", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros",
    "map_index_template", "outlet_events", "outlets", "params", "partition_date", "partition_key",
    "prev_data_interval_end_success", "prev_data_interval_start_success", "prev_end_date_success",
    "prev_start_date_success", "reason", "run_id", "task", "task_instance", "task_instance_key_str",
    "task_reschedule_count", "task_state_store", "templates_dict", "test_mode", "ti", "triggering_asset_events",
    "try_number", "ts", "ts_nodash", "ts_nodash_with_tz", "var",
))  # fmt: skip
"""Names of the context of a task, which an argument of `run` may not have."""


@dataclass(frozen=True)
class NativeTask:
    """
    One task.

    :param id: Its id.
    :param needs: Ids of the tasks that it names as coming before it, each with where it stands.
    :param uses: Dotted path of its operator; None is an empty task.
    :param arguments: The `with`, markers made.
    :param run: What a task handler is given, markers made; None where there is none.
    :param settings: Arguments of `BaseOperator`.
    :param loc: Where it stands in the document.
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

    :param schedule: As it is written, or the timetable to make.
    :param arguments: Arguments of `DAG`.
    :param tasks: Its tasks in the order of the file.
    """

    schedule: str | Constructed | None
    arguments: Mapping[str, Any]
    tasks: tuple[NativeTask, ...]
