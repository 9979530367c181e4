"""
Words of other tools, and of Airflow 2, for keys of this language: the word, and what to write instead.

The tools are dag-factory, blueprint, gusty, boundary-layer, GitHub Actions, Kestra, Argo, dbt and others. Each row has
a test, which writes the word into a pipeline and expects one fault with this hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MOST_ROWS = 8
_MOST_KEYS = 2_000

_FUNCTION = "of a Python file beside the pipeline"
_NO_SLA = "Airflow 3 has no SLAs; write a `deadline` for the runs of the pipeline"
_IN_GROUP = "write the task in the `tasks` of its group"
_STANDARD = "airflow.providers.standard.operators"
_BASH = f"write `uses: {_STANDARD}.bash.BashOperator`, and under `with` the command as `bash_command`"
_CALLABLE = 'write it under `with`, as `python_callable: {$import: "module:function"}`'
_CHECK = 'write it under `with`, as `response_check: {$import: "module:function"}`'
_CONDITION = (
    "there are no conditions on a task; an operator that decides, such as "
    "`airflow.providers.standard.operators.python.ShortCircuitOperator`, comes before it"
)
_REPEAT = "write it as `expand`, or as `matrix` for values that the file gives"
_AFTER_FAILURE = "write `trigger_rule: all_done` on the tasks after it"
_UNDER_WITH = "write them under `with`"
_REMOVE_VERSION = "remove it: the language has one version"
_UI = "remove it: the UI of Airflow 3 has no such setting"
_FOUND = "remove it: Airflow finds the file itself"
_SHARED = "write its keys at the top, or share them by `include`"


def _as(key: str, *words: str) -> dict[str, str]:
    return dict.fromkeys(words, f"write it as `{key}`")


def _function(key: str, *words: str) -> dict[str, str]:
    return dict.fromkeys(words, f"write it as `{key}: module:function`, {_FUNCTION}")


PIPELINE: dict[str, str] = {
    **_as("schedule", "schedule_interval", "interval", "cron", "triggers", "on", "every", "frequency"),
    **dict.fromkeys(
        ("timetable", "custom_timetable"), "write it as `schedule: {uses: package.module.Class, with: {...}}`"
    ),
    **dict.fromkeys(("assets", "datasets", "dataset"), "write it as `schedule: {assets: [...]}`"),
    **_as("tasks", "steps", "jobs", "stages", "nodes", "flow", "operators", "sensors", "dag"),
    **dict.fromkeys(("task_groups", "groups"), "write each group in `tasks`, as an item with `id` and `tasks`"),
    **_as("dag_id", "id", "name", "dag_name", "workflow", "namespace", "pipeline"),
    **_as("dag_display_name", "display_name", "title"),
    **_as("max_active_tasks", "concurrency", "dag_concurrency", "max_active_tasks_per_dag", "parallelism"),
    **_as("max_active_runs", "max_active_runs_per_dag"),
    **_as("is_paused_upon_creation", "is_paused", "paused", "disabled"),
    **_as("timezone", "tz", "default_timezone", "time_zone"),
    **_as("tags", "labels"),
    **_as("doc_md", "doc", "docs", "documentation", "readme"),
    **dict.fromkeys(
        ("doc_md_file_path", "doc_file"), "write it as `doc_md`, with the name of a `.md` file beside the pipeline"
    ),
    **dict.fromkeys(
        ("doc_md_python_callable_name", "doc_md_python_callable_file", "doc_md_python_arguments"),
        "write the text as `doc_md`, or the name of a `.md` file beside the pipeline",
    ),
    **dict.fromkeys(
        ("dagrun_timeout_sec", "dagrun_timeout_secs", "timeout", "timeout_minutes", "timeout-minutes"),
        "write it as `dagrun_timeout`, with its unit, e.g. `10m`",
    ),
    **_function("on_success_callback", "on_success_callback_name", "on_success_callback_file"),
    **_function("on_failure_callback", "on_failure_callback_name", "on_failure_callback_file"),
    **dict.fromkeys(("errors", "on_failure", "on_error"), "write it as `on_failure_callback`, or as `notify`"),
    **dict.fromkeys(("on_success", "finally", "listeners"), "write it as `on_success_callback`, or as `notify`"),
    **dict.fromkeys(("sla", "sla_miss_callback_name", "sla_miss_callback_file", "sla_secs"), _NO_SLA),
    **dict.fromkeys(("default_view", "orientation"), _UI),
    **dict.fromkeys(("full_filepath", "fileloc", "filepath"), _FOUND),
    **dict.fromkeys(("default", "defaults", "dag_args"), _SHARED),
    **_as("default_args", "default_task_args", "task_defaults", "pluginDefaults"),
    **_as("vars", "variables", "env", "constants"),
    **_as("params", "inputs", "parameters", "arguments", "args"),
    **_as("include", "import", "imports", "includes", "extends"),
    **_as("start_date", "start", "since"),
    **_as("end_date", "end", "until"),
    **_as("notify", "notifications", "alerts", "alert"),
    **dict.fromkeys(("version", "apiVersion", "schema_version"), _REMOVE_VERSION),
    **dict.fromkeys(("external_dependencies", "depends_on", "dependencies", "needs"), (
        "a pipeline waits for others by `schedule: {assets: [...]}`, or by a task with "
        "`airflow.providers.standard.sensors.external_task.ExternalTaskSensor`"
    )),
    **dict.fromkeys(("root_tasks", "leaf_tasks"), "write the order as `needs` of the tasks"),
}  # fmt: skip
"""Word at the top of a pipeline to what to write instead."""

_OF_TASKS: dict[str, str] = {
    **dict.fromkeys(("retry_delay_sec", "retry_delay_secs", "retry_delay_seconds"), (
        "write it as `retry_delay`, with its unit, e.g. `300s`"
    )),
    **dict.fromkeys(("max_retry_delay_sec", "max_retry_delay_secs"), (
        "write it as `max_retry_delay`, with its unit, e.g. `1h`"
    )),
    **dict.fromkeys((
        "execution_timeout_sec", "execution_timeout_secs", "timeout", "timeout_minutes", "timeout-minutes",
        "timeoutInSeconds", "activeDeadlineSeconds",
    ), "write it as `execution_timeout`, with its unit, e.g. `10m`"),
    **dict.fromkeys(("sla_secs", "sla_sec"), _NO_SLA),
    **_as("max_active_tis_per_dag", "task_concurrency"),
    **_as("do_xcom_push", "xcom_push"),
    **_as("priority_weight", "priority"),
    **dict.fromkeys(("retry", "retryStrategy", "retry_policy_type"), "write it as `retries` and `retry_delay`"),
    **dict.fromkeys(("provide_context", "provides_context"), "remove it: Airflow always passes the context"),
    **_function("on_success_callback", "on_success_callback_name", "on_success_callback_file"),
    **_function("on_failure_callback", "on_failure_callback_name", "on_failure_callback_file"),
    **_function("on_failure_callback", "on_failure", "on_error"),
    **_function("on_retry_callback", "on_retry_callback_name", "on_retry_callback_file"),
    **_function("on_execute_callback", "on_execute_callback_name", "on_execute_callback_file"),
}  # fmt: skip

TASK: dict[str, str] = {
    **_OF_TASKS,
    **_as("id", "name", "task_name", "key"),
    **_as("uses", "class", "operator", "operator_class", "operator_name", "type", "blueprint", "plugin", "sensor"),
    **_as("uses", "action"),
    **dict.fromkeys((
        "after", "depends", "depends_on", "dependsOn", "depends_upon", "dependencies", "parents", "requires",
        "runAfter", "upstream", "upstream_tasks", "wait_for", "previous",
    ), "write as `needs` what comes before it"),
    **dict.fromkeys(("downstream", "before", "next", "then", "triggers"), "write it as `needs` of the tasks after it"),
    **dict.fromkeys(("args", "arguments", "kwargs", "operator_args", "config", "properties", "settings", "options"), (
        _UNDER_WITH
    )),
    **dict.fromkeys(("parameters", "inputs", "variables", "vars"), _UNDER_WITH),
    **dict.fromkeys(("task_group_name", "group_name", "parent_group_name", "group"), _IN_GROUP),
    "decorator": "write the operator as `uses`, e.g. `airflow.providers.standard.operators.python.PythonOperator`",
    **dict.fromkeys(("python_callable", "python_callable_name", "python_callable_file"), _CALLABLE),
    **dict.fromkeys(("callable", "function"), _CALLABLE),
    **dict.fromkeys((
        "response_check", "response_check_name", "response_check_file", "response_check_lambda",
    ), _CHECK),
    **dict.fromkeys(("bash", "cmd", "command", "commands", "script", "shell", "exec"), _BASH),
    "python": f"write `uses: {_STANDARD}.python.PythonOperator`, and under `with` the function as "
    '`python_callable: {$import: "module:function"}`',
    **dict.fromkeys(("op_args", "op_kwargs", "bash_command", "sql", "image", "cmds", "endpoint", "conn_id", "env"), (
        "write it under `with`: it is an argument of the operator"
    )),
    "execution_delta_secs": "write it under `with`, as `execution_delta` with its unit, e.g. `300s`",
    "partial": "write it under `with`; `expand` takes the arguments that are mapped",
    "variables_as_arguments": 'write it under `with`, as `NAME: {$t: "{{ var.value.NAME }}"}`',
    **dict.fromkeys((
        "foreach", "for_each", "forEach", "loop", "items", "with_items", "withItems", "withParam", "strategy", "map",
        "multi_task_spec",
    ), _REPEAT),
    **dict.fromkeys(("when", "if", "runIf", "condition", "only", "except", "rules"), _CONDITION),
    **dict.fromkeys((
        "allowFailure", "allow_failure", "continue-on-error", "continueOn", "ignore_errors",
    ), _AFTER_FAILURE),
    **dict.fromkeys(("steps", "jobs"), "write each of them as a task, in `tasks`"),
    **dict.fromkeys(("runs-on", "runner"), "write the workers' `queue`, or the `executor`"),
    **_as("doc_md", "description", "desc", "documentation"),
    **_as("task_display_name", "label", "display_name", "title"),
    **_as("extends", "template", "templateRef", "inherit", "import"),
    **_as("outlets", "outputs", "produces"),
    **_as("inlets", "consumes"),
    **dict.fromkeys(("version", "namespace"), "remove it: the language has one version, and no namespaces"),
    **dict.fromkeys(("disabled", "enabled"), "remove the task, or put `#` before its lines"),
    **dict.fromkeys(("materialized", "materialization"), "remove it: a `transform` writes a table, slice by slice"),
    "ref": "write the table under `with`, as `inputs: {NAME: layer/table}`",
}  # fmt: skip
"""Word in a task to what to write instead."""

GROUP: dict[str, str] = {
    **_as("id", "group_name", "name", "task_group_name"),
    **dict.fromkeys(("parent_group_name",), "write the group in the `tasks` of the other"),
    **dict.fromkeys((
        "after", "depends", "depends_on", "dependsOn", "dependencies", "upstream", "requires",
    ), "write as `needs` what comes before it"),
    **_as("group_display_name", "label", "display_name"),
    **_as("tooltip", "description"),
    **dict.fromkeys(("foreach", "for_each", "forEach", "loop", "with_items", "strategy"), "write it as `matrix`"),
}  # fmt: skip
"""Word in a group to what to write instead."""

_AT_TOP = "write it at the top of the pipeline, not under `default_args`"

DEFAULT_ARGS: dict[str, str] = {
    **_OF_TASKS,
    **dict.fromkeys((
        "schedule", "catchup", "timezone", "tags", "description", "max_active_runs", "max_active_tasks", "dag_id",
        "dagrun_timeout", "is_paused_upon_creation", "storage", "deadline", "notify", "access_control", "fail_fast",
    ), _AT_TOP),
    "schedule_interval": "write it as `schedule`, at the top of the pipeline",
    "concurrency": "write it as `max_active_tasks`, at the top of the pipeline",
}  # fmt: skip
"""Word under `default_args` to what to write instead."""

SCHEDULE: dict[str, str] = {
    "timezone": "write it beside `schedule`, at the top of the pipeline",
    **_as("assets", "datasets", "dataset", "asset"),
    **dict.fromkeys(("timetable", "callable", "__type__", "type"), (
        "write the class as `uses`, and its arguments under `with`: `schedule: {uses: module.Class, with: {...}}`"
    )),
    **dict.fromkeys(("__or__", "or"), "write it below `assets`: `schedule: {assets: {or: [...]}}`"),
    **dict.fromkeys(("__and__", "and"), "write the list as `assets`: all of them must be new"),
    **dict.fromkeys(("interval", "every", "seconds", "minutes", "hours", "days"), (
        "write the duration itself: `schedule: 6h`"
    )),
    **dict.fromkeys(("start_date", "end_date", "catchup"), "write it beside `schedule`, at the top of the pipeline"),
    "preset": "write the preset itself: `schedule: '@daily'`",
}  # fmt: skip
"""Word in the mapping of a `schedule` to what to write instead."""

ASSET: dict[str, str] = {
    **dict.fromkeys(("__type__", "type"), "remove it: every item here is an asset"),
    **_as("uri", "url", "path", "location"),
    **_as("name", "id", "dataset", "asset"),
    **_as("extra", "metadata", "properties"),
    **_as("or", "__or__"),
    **_as("and", "__and__"),
}
"""Word in an asset to what to write instead."""

CONSTRUCTED: dict[str, str] = {
    **_as("uses", "callback", "class", "type", "__type__", "callable", "name"),
    **dict.fromkeys(("args", "kwargs", "params", "arguments", "__args__", "parameters"), _UNDER_WITH),
}
"""Word in the mapping of a class to what to write instead."""

TRIGGER_RULES: dict[str, str] = {
    "dummy": "always",
    "none_failed_or_skipped": "none_failed_min_one_success",
    "success": "all_success",
    "failed": "all_failed",
    "done": "all_done",
    "completed": "all_done",
    "on_success": "all_success",
    "on_failure": "one_failed",
}
"""Trigger rule of Airflow 2 or another tool to the one of Airflow 3."""


def rows_of(value: Any, depth: int) -> str:
    """
    Return what the keys of another tool's document are called here, as text; empty if no key is known.

    :param depth: Mappings around the keys of the pipeline; less than 0 for a task, or a list or mapping of tasks.
    """
    rows: dict[str, str] = {}
    for key, level in leveled_keys(value):
        table = PIPELINE if level == depth else TASK if level > depth else {}
        if key in table and key not in rows:
            rows[key] = table[key]
    return "; ".join([f"`{key}`: {advice}" for key, advice in rows.items()][:_MOST_ROWS])


def leveled_keys(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the keys of a document, outer ones first, each with the number of mappings around it."""
    level, blocks, count = 0, [value], 0
    while blocks and count <= _MOST_KEYS:
        inner: list[Any] = []
        for block in blocks:
            for item in block if isinstance(block, list) else [block]:
                if isinstance(item, list):
                    inner.append(item)
                elif isinstance(item, dict):
                    count += len(item)
                    yield from ((str(key), level) for key in item)
                    inner += [below for below in item.values() if isinstance(below, dict | list)]
        level, blocks = level + 1, inner
