"""The keys that every task has: arguments of Airflow's `BaseOperator`, under Airflow's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from airflow_wall.language import refused, words
from airflow_wall.language.assets import AssetItems
from airflow_wall.language.base import Duration, Moment, NonNegative, Positive, SpecModel
from airflow_wall.language.callables import Callbacks, Constructed, Dotted, Reference, many
from airflow_wall.text.kinds import Beyond, FieldKind, Plain

TriggerRule = Plain[Literal[
    "all_success", "all_failed", "all_done", "all_done_min_one_success", "one_success", "one_failed", "one_done",
    "none_failed", "none_failed_min_one_success", "none_skipped", "all_skipped", "always",
]]  # fmt: skip


def _backoff(value: Any) -> bool | float:
    if isinstance(value, bool) or (isinstance(value, int | float) and value >= 1):
        return value
    quoted = isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?|true|false", value)
    hint = f"write it without quotes: `{value}`" if quoted else "write e.g. `2` to wait twice as long each time"
    raise PydanticCustomError("backoff", "must be a number of at least 1, `true` or `false`", {"hint": hint})


Backoff = Annotated[
    bool | float,
    BeforeValidator(_backoff, json_schema_input_type=bool | Annotated[float, Field(ge=1)]),
    FieldKind.PLAIN,
]
"""The factor by which each wait before a retry grows."""

Action = Plain[Literal["retry", "fail", "default"]]

NATIVE = Beyond("has Airflow evaluate what templates give")
EXECUTOR = Beyond("can choose the image, the command and the secrets of its pod")
USER = Beyond("chooses the Unix user")


class RetryRule(SpecModel):
    """The action after some kinds of errors."""

    exception: Annotated[
        list[Dotted], Field(min_length=1), BeforeValidator(many, json_schema_input_type=Dotted | list[Dotted])
    ] = Field(description="The errors by their dotted paths, e.g. `builtins.TimeoutError`.")
    action: Action = Field("retry", description="`retry`, `fail` at once, or the `default`: as without a rule.")
    retry_delay: Duration | None = Field(None, description="Time to wait before this retry.")
    reason: Plain[str] | None = Field(None, description="The reason that the log shows.")
    match_subclasses: Plain[bool] = Field(True, description="If true, the rule includes subclasses of these errors.")


class RetryRules(SpecModel):
    """The actions after errors. The first rule that matches decides."""

    rules: list[RetryRule] = Field(min_length=1, description="The rules.")
    default: Action = Field("default", description="The action after any other error.")


def _policy_form(value: Any) -> str | None:
    if isinstance(value, dict):
        return "<object>" if "uses" in value else "<rules>"
    forms = {str: "<text>", Constructed: "<object>", RetryRules: "<rules>"}
    return next((form for kind, form in forms.items() if isinstance(value, kind)), None)


RetryPolicy = Annotated[
    Annotated[Reference, Tag("<text>")]
    | Annotated[Constructed, Tag("<object>")]
    | Annotated[RetryRules, Tag("<rules>")],
    Discriminator(_policy_form, "retry_policy", "must be rules, or a policy of your own"),
]
"""Rules for the action after errors, or an own policy."""


class Resources(SpecModel):
    """The resources that a task needs from its worker."""

    cpus: NonNegative | None = Field(None, description="Cores.")
    ram: NonNegative | None = Field(None, description="Memory, in MB.")
    disk: NonNegative | None = Field(None, description="Disk, in MB.")
    gpus: NonNegative | None = Field(None, description="GPUs.")


class OperatorArguments(SpecModel):
    """Settings of a task, or in `default_args` of all tasks, for how it runs."""

    refused: ClassVar[Mapping[str, str]] = {**words.DEFAULT_ARGS, **refused.OPERATOR}

    owner: Plain[str] | None = Field(None, description="The person or team responsible, for the UI.")
    retries: NonNegative | None = Field(None, description="Number of times that a failed task is tried again.")
    retry_delay: Duration | None = Field(None, description="Time to wait before a retry.")
    retry_exponential_backoff: Backoff | None = Field(
        None, description="Factor by which each wait is longer than the last, e.g. `2`; `true` is the same as 2."
    )
    max_retry_delay: Duration | None = Field(None, description="The longest wait before a retry.")
    retry_policy: RetryPolicy | None = Field(
        None, description="Rules for which errors are retried, and when; Airflow 3.3 and later."
    )
    execution_timeout: Duration | None = Field(None, description="The longest time of one try.")
    start_date: Moment | None = Field(None, description="The first date the task runs for.")
    end_date: Moment | None = Field(None, description="The last date the task runs for.")
    depends_on_past: Plain[bool] | None = Field(
        None, description="If true, the task waits for its own success in the previous run."
    )
    wait_for_downstream: Plain[bool] | None = Field(
        None, description="If true, it also waits for the tasks after it in the previous run."
    )
    ignore_first_depends_on_past: Plain[bool] | None = Field(
        None, description="If true, the first run does not wait for a previous one."
    )
    wait_for_past_depends_before_skipping: Plain[bool] | None = Field(
        None, description="If true, the task waits for the previous run even if it would be skipped."
    )
    trigger_rule: TriggerRule | None = Field(None, description="States of the tasks before it that let it run.")
    pool: Plain[str] | None = Field(None, description="The pool whose slots limit how many tasks run at once.")
    pool_slots: Positive | None = Field(None, description="Number of slots of the pool it takes.")
    priority_weight: Plain[int] | None = Field(
        None, description="Its priority when slots are few; a higher number goes first."
    )
    weight_rule: Plain[Literal["downstream", "upstream", "absolute"]] | None = Field(
        None, description="The way to add the priorities of the tasks before or after it."
    )
    queue: Plain[str] | None = Field(None, description="The workers' queue it runs on.")
    executor: Plain[str] | None = Field(None, description="The executor that runs it, if several are configured.")
    executor_config: Annotated[dict[str, Any], EXECUTOR] | None = Field(
        None,
        description="Settings for that executor; `pod_override` is a pod as plain YAML, for Kubernetes.",
    )
    resources: Resources | None = Field(
        None, description="The resources it needs from its worker, for executors that use this."
    )
    max_active_tis_per_dag: Positive | None = Field(
        None, description="The most instances of this task that run at once over all runs."
    )
    max_active_tis_per_dagrun: Positive | None = Field(
        None, description="The most instances of this task that run at once in one run."
    )
    do_xcom_push: Plain[bool] | None = Field(None, description="If true, its result is stored for other tasks.")
    multiple_outputs: Plain[bool] | None = Field(
        None, description="If true, each entry of the mapping it returns is also stored under its own key."
    )
    run_as_user: Annotated[str, USER] | None = Field(None, description="The Unix user it runs as.")
    inlets: AssetItems | None = Field(None, description="The assets it reads, for lineage and for `inlet_events`.")
    outlets: AssetItems | None = Field(None, description="The assets it updates.")
    on_execute_callback: Callbacks | None = Field(None, description="Called before each try.")
    on_success_callback: Callbacks | None = Field(None, description="Called when it succeeds.")
    on_failure_callback: Callbacks | None = Field(None, description="Called when it fails for good.")
    on_retry_callback: Callbacks | None = Field(None, description="Called when a try fails and is repeated.")
    on_skipped_callback: Callbacks | None = Field(
        None, description="Called when it skips itself, but not when it is skipped by a task before it."
    )
    pre_execute: Reference | None = Field(None, description="A function `module:name`, called right before the work.")
    post_execute: Reference | None = Field(
        None, description="A function `module:name`, called right after the work with its result."
    )
    doc: Plain[str] | None = Field(None, description="Documentation, as plain text.")
    doc_md: Plain[str] | None = Field(None, description="Documentation, as Markdown.")
    doc_json: Plain[str] | None = Field(None, description="Documentation, as JSON.")
    doc_yaml: Plain[str] | None = Field(None, description="Documentation, as YAML.")
    doc_rst: Plain[str] | None = Field(None, description="Documentation, as reStructuredText.")
    task_display_name: Plain[str] | None = Field(None, description="Name in the UI.")
    logger_name: Plain[str] | None = Field(None, description="Name of the logger of its log.")
    allow_nested_operators: Plain[bool] | None = Field(
        None, description="If false, its code fails when it runs another operator."
    )
    render_template_as_native_obj: Annotated[bool, NATIVE] | None = Field(
        None, description="If true, the results of its templates keep their type instead of being text."
    )

    def explicit_arguments(self) -> dict[str, Any]:
        """Return the arguments that the YAML sets, by Airflow's names."""
        names = self.model_fields_set & _ARGUMENTS
        if not names:  # the case of most tasks
            return {}
        return {name: value for name, value in vars(self).items() if name in names and value is not None}


_ARGUMENTS = OperatorArguments.model_fields.keys()
