"""The names that Airflow defines in templates, and those that Airflow 3 has removed."""

from __future__ import annotations

RUN = frozenset((
    "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "exception",
    "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros", "map_index_template", "outlet_events",
    "outlets", "params", "partition_date", "partition_key", "prev_data_interval_end_success",
    "prev_data_interval_start_success", "prev_end_date_success", "prev_start_date_success", "reason", "run_id",
    "task", "task_instance", "task_instance_key_str", "task_reschedule_count", "templates_dict", "test_mode", "ti",
    "triggering_asset_events", "try_number", "ts", "ts_nodash", "ts_nodash_with_tz", "var",
    "task_state_store", "asset_state_store", "task_state", "asset_state",
))  # fmt: skip
"""Names of Airflow's context, in any supported version."""

GLOBALS = frozenset(("range", "dict", "lipsum", "cycler", "joiner", "namespace", "loop", "self", "super", "varargs",
                     "kwargs", "caller", "none", "true", "false", "None", "True", "False"))  # fmt: skip
"""Names that Jinja defines."""

REMOVED = {
    "execution_date": "logical_date",
    "next_execution_date": "data_interval_end",
    "prev_execution_date": "data_interval_start",
    "prev_execution_date_success": "prev_data_interval_start_success",
    "next_ds": "data_interval_end | ds",
    "next_ds_nodash": "data_interval_end | ds_nodash",
    "prev_ds": "macros.ds_add(ds, -1)",
    "prev_ds_nodash": "macros.ds_format(macros.ds_add(ds, -1), '%Y-%m-%d', '%Y%m%d')",
    "yesterday_ds": "macros.ds_add(ds, -1)",
    "yesterday_ds_nodash": "macros.ds_format(macros.ds_add(ds, -1), '%Y-%m-%d', '%Y%m%d')",
    "tomorrow_ds": "macros.ds_add(ds, 1)",
    "tomorrow_ds_nodash": "macros.ds_format(macros.ds_add(ds, 1), '%Y-%m-%d', '%Y%m%d')",
    "triggering_dataset_events": "triggering_asset_events",
    "latest_date": "ds",
    "END_DATE": "ds",
    "end_date": "data_interval_end",
    "start_date": "data_interval_start",
}
"""Name that Airflow 3 has removed to an expression for the same value."""

REMOVED_ATTRIBUTES = {
    "dag_run.execution_date": "dag_run.logical_date",
    "ti.execution_date": "logical_date",
    "task_instance.execution_date": "logical_date",
    "dag_run.external_trigger": "dag_run.run_type",
    "dag.full_filepath": "dag.fileloc",
    "dag.concurrency": "dag.max_active_tasks",
}
"""Attribute that Airflow 3 has removed to an expression for the same value."""

FILTERS = frozenset((
    "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz",
    "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
    "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items", "join", "last",
    "length", "list", "lower", "map", "max", "min", "pprint", "random", "reject", "rejectattr", "replace", "reverse",
    "round", "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim",
    "truncate", "unique", "upper", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr",
))  # fmt: skip
"""Filters of Airflow and of Jinja."""

TESTS = frozenset((
    "!=", "<", "<=", "==", ">", ">=", "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "escaped",
    "even", "false", "filter", "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan",
    "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence", "string", "test", "true",
    "undefined", "upper",
))  # fmt: skip
"""Tests of Jinja, which follow `is`."""
