"""The keys that every task has, whatever it does: arguments of Airflow's `BaseOperator`, in Airflow's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from airflow_wall.spec import refused
from airflow_wall.spec.assets import AssetItems
from airflow_wall.spec.base import Duration, Moment, NonNegative, Positive, SpecModel
from airflow_wall.spec.callables import Callbacks, Constructed, Dotted, Reference, many

TriggerRule = Literal[
    "all_success", "all_failed", "all_done", "all_done_min_one_success", "one_success", "one_failed", "one_done",
    "none_failed", "none_failed_min_one_success", "none_skipped", "all_skipped", "always",
]  # fmt: skip


def _backoff(value: Any) -> bool | float:
    if isinstance(value, bool) or (isinstance(value, int | float) and value >= 1):
        return value
    quoted = isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?|true|false", value)
    hint = f"write it without quotes: `{value}`" if quoted else "write e.g. `2` to wait twice as long each time"
    raise PydanticCustomError("backoff", "must be a number of at least 1, `true` or `false`", {"hint": hint})


Backoff = Annotated[
    bool | float,
    BeforeValidator(_backoff, json_schema_input_type=bool | Annotated[float, Field(ge=1)]),
]
"""What each wait before a retry is multiplied with."""

Action = Literal["retry", "fail", "default"]


class RetryRule(SpecModel):
    """What happens after some kinds of errors."""

    exception: Annotated[
        list[Dotted], Field(min_length=1), BeforeValidator(many, json_schema_input_type=Dotted | list[Dotted])
    ] = Field(description="The errors by their dotted paths, e.g. `builtins.TimeoutError`.")
    action: Action = Field("retry", description="`retry`, `fail` at once, or the `default`: as without a rule.")
    retry_delay: Duration | None = Field(None, description="How long to wait before this retry.")
    reason: str | None = Field(None, description="What the log says of it.")
    match_subclasses: bool = Field(True, description="Whether errors derived from these count too.")


class RetryRules(SpecModel):
    """What happens after which errors; the first rule that fits decides."""

    rules: list[RetryRule] = Field(min_length=1, description="The rules.")
    default: Action = Field("default", description="What happens after any other error.")


def _policy_form(value: Any) -> str | None:
    if isinstance(value, dict):
        return "<object>" if "uses" in value else "<rules>"
    found = {str: "<text>", Constructed: "<object>", RetryRules: "<rules>"}
    return next((form for kind, form in found.items() if isinstance(value, kind)), None)


RetryPolicy = Annotated[
    Annotated[Reference, Tag("<text>")]
    | Annotated[Constructed, Tag("<object>")]
    | Annotated[RetryRules, Tag("<rules>")],
    Discriminator(_policy_form, "retry_policy", "must be rules, or a policy of your own"),
]
"""What happens after which errors."""


class Resources(SpecModel):
    """What a task needs of its worker."""

    cpus: NonNegative | None = Field(None, description="Cores.")
    ram: NonNegative | None = Field(None, description="Memory, in MB.")
    disk: NonNegative | None = Field(None, description="Disk, in MB.")
    gpus: NonNegative | None = Field(None, description="GPUs.")


class OperatorArguments(SpecModel):
    """What a task, or `default_args` for all tasks, may say of how it is run."""

    refused: ClassVar[Mapping[str, str]] = refused.OPERATOR

    owner: str | None = Field(None, description="Who is responsible, as the UI shows it.")
    retries: NonNegative | None = Field(None, description="How often a failed task is tried again.")
    retry_delay: Duration | None = Field(None, description="How long to wait before a retry.")
    retry_exponential_backoff: Backoff | None = Field(
        None, description="By how much each wait is longer than the last, e.g. `2`; `true` is the same as 2."
    )
    max_retry_delay: Duration | None = Field(None, description="The longest wait before a retry.")
    retry_policy: RetryPolicy | None = Field(
        None, description="Which errors are retried, and when; Airflow 3.3 and later."
    )
    execution_timeout: Duration | None = Field(None, description="How long one try may take.")
    start_date: Moment | None = Field(None, description="The first date the task runs for.")
    end_date: Moment | None = Field(None, description="The last date the task runs for.")
    depends_on_past: bool | None = Field(
        None, description="Whether the task waits for its own success in the last run."
    )
    wait_for_downstream: bool | None = Field(
        None, description="Whether it also waits for the tasks after it in the last run."
    )
    ignore_first_depends_on_past: bool | None = Field(
        None, description="Whether the first run goes on although there is no last one."
    )
    wait_for_past_depends_before_skipping: bool | None = Field(
        None, description="Whether the task waits for the last run even where it would be skipped."
    )
    trigger_rule: TriggerRule | None = Field(None, description="Which states of the tasks before it let it run.")
    pool: str | None = Field(None, description="The pool whose slots bound how many run at once.")
    pool_slots: Positive | None = Field(None, description="How many slots of the pool it takes.")
    priority_weight: int | None = Field(None, description="Who goes first when slots are few.")
    weight_rule: Literal["downstream", "upstream", "absolute"] | None = Field(
        None, description="How priorities add up."
    )
    queue: str | None = Field(None, description="The workers' queue it runs on.")
    executor: str | None = Field(None, description="The executor that runs it, if several are configured.")
    executor_config: dict[str, Any] | None = Field(
        None,
        description="What only that executor understands; `pod_override` is a pod as plain YAML, for Kubernetes.",
    )
    resources: Resources | None = Field(None, description="What it needs of its worker, for executors that ask.")
    max_active_tis_per_dag: Positive | None = Field(
        None, description="How many of this task run at once over all runs."
    )
    max_active_tis_per_dagrun: Positive | None = Field(
        None, description="How many of this task run at once in one run."
    )
    do_xcom_push: bool | None = Field(None, description="Whether what it returns is kept for other tasks.")
    multiple_outputs: bool | None = Field(
        None, description="Whether each entry of the mapping it returns is kept under its own key too."
    )
    run_as_user: str | None = Field(None, description="The Unix user it runs as.")
    inlets: AssetItems | None = Field(None, description="The assets it reads, for lineage and for `inlet_events`.")
    outlets: AssetItems | None = Field(None, description="The assets it makes new.")
    on_execute_callback: Callbacks | None = Field(None, description="What is called before each try.")
    on_success_callback: Callbacks | None = Field(None, description="What is called when it succeeds.")
    on_failure_callback: Callbacks | None = Field(None, description="What is called when it fails for good.")
    on_retry_callback: Callbacks | None = Field(None, description="What is called when a try fails and is repeated.")
    on_skipped_callback: Callbacks | None = Field(
        None, description="What is called when it skips itself, though not when it is skipped by a task before it."
    )
    pre_execute: Reference | None = Field(None, description="A function `module:name`, called right before the work.")
    post_execute: Reference | None = Field(
        None, description="A function `module:name`, called right after the work with its result."
    )
    doc: str | None = Field(None, description="Documentation, as plain text.")
    doc_md: str | None = Field(None, description="Documentation, as Markdown.")
    doc_json: str | None = Field(None, description="Documentation, as JSON.")
    doc_yaml: str | None = Field(None, description="Documentation, as YAML.")
    doc_rst: str | None = Field(None, description="Documentation, as reStructuredText.")
    task_display_name: str | None = Field(None, description="How the UI names it.")
    logger_name: str | None = Field(None, description="The logger that what it logs goes to.")
    allow_nested_operators: bool | None = Field(
        None, description="Whether its code may run another operator; `false` makes that fail."
    )
    render_template_as_native_obj: bool | None = Field(
        None, description="Whether what its templates give keeps its type instead of being text."
    )

    def given(self) -> dict[str, Any]:
        """The arguments that the YAML gives, by Airflow's names."""
        names = self.model_fields_set & _ARGUMENTS
        if not names:  # so it is with most tasks
            return {}
        return {name: value for name, value in vars(self).items() if name in names and value is not None}


_ARGUMENTS = OperatorArguments.model_fields.keys()
