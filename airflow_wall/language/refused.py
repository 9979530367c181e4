"""
Arguments of Airflow that have no key, each with the reason and what to write instead, and keys of newer Airflows.

A test compares both with the signatures of every supported Airflow.
"""

from __future__ import annotations

DAG = {
    "template_searchpath": (
        "Airflow would look there for files named in templates; name a file beside the pipeline by {$f: path}"
    ),
    "template_undefined": "it is a Python class; an unknown name in a template is always an error",
    "sla_miss_callback": "Airflow 3 has no SLAs and ignores it",
    "jinja_environment_kwargs": "templates are rendered alike in every pipeline; compute the value in a task instead",
    "auto_register": "it is for code that builds DAGs in a `with`; every pipeline of the file is registered",
    "task_group": "the pipeline's own group is made of `tasks`; write groups as items with `tasks`",
}
"""Argument of `DAG` to the reason why it has no key, and what to write instead."""

OPERATOR = {
    "task_id": "write it as `id`",
    "dag": "a task belongs to the pipeline whose `tasks` it is in",
    "task_group": "write the task in the `tasks` of that group",
    "default_args": "write it on the pipeline or on a group, or the arguments themselves on the task",
    "sla": "Airflow 3 has no SLAs and ignores it",
    "email": "Airflow deprecates it; use a notifier in `on_failure_callback`",
    "email_on_failure": "Airflow deprecates it; use a notifier in `on_failure_callback`",
    "email_on_retry": "Airflow deprecates it; use a notifier in `on_retry_callback`",
}
"""Argument of `BaseOperator` to the reason why it has no key, and what to write instead."""

GROUP = {
    "group_id": "write it as `id`",
    "dag": "a group belongs to the pipeline whose `tasks` it is in",
    "parent_group": "write the group in the `tasks` of the other",
    "add_suffix_on_collision": "an id that changes with its neighbours loses its history; give each group its own `id`",
}
"""Argument of `TaskGroup` to the reason why it has no key, and what to write instead."""

GROUP_MAPPING = dict.fromkeys(
    ("expand", "expand_kwargs"),
    "Airflow maps no task in a mapped group, and no mapped group in another; repeat the group by `matrix`, or map "
    "each of its tasks",
)
"""Key of a task that a group does not have, to the reason and what to write instead."""

SINCE: dict[str, dict[str, str]] = {
    "DAG": {"rerun_with_latest_version": "3.3"},
    "BaseOperator": {"retry_policy": "3.3"},
    "TaskGroup": {"doc_md": "3.3"},
}
"""Class to its keys that older versions of Airflow lack, each with the first version that has it."""
