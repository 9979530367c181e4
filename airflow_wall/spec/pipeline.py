"""The blocks of a pipeline file: the pipeline itself, its tasks and its groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.spec import refused
from airflow_wall.spec.base import Duration, Folder, Link, Moment, Name, Names, NonNegative, Positive, SpecModel, Zone
from airflow_wall.spec.callables import Callbacks, many
from airflow_wall.spec.deadline import Deadlines
from airflow_wall.spec.environment import Image, Python, Requirements, check_together
from airflow_wall.spec.markers import Import, XComRef
from airflow_wall.spec.notify import Notify
from airflow_wall.spec.operator import OperatorArguments
from airflow_wall.spec.params import Params
from airflow_wall.spec.schedule import Schedule

Matrix = Annotated[
    dict[str, list[Any]],
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [{"type": "array"}, {"type": "string", "pattern": r"^\$\{\{.*\}\}$"}]},
        }
    ),
]


def _lists(value: Any) -> Any:
    if isinstance(value, XComRef):
        hint = f"write `expand_kwargs: {value}`, or which argument it is for: `expand: {{NAME: {value}}}`"
        raise PydanticCustomError("lists", "must be a mapping of arguments to lists", {"hint": hint})
    return value


def _entries(value: Any) -> Any:
    if isinstance(value, XComRef) or (
        isinstance(value, list) and value and all(isinstance(each, dict | Import) for each in value)
    ):
        return value
    raise PydanticCustomError(
        "entries",
        "must be a list of arguments, or what a task returns",
        {
            "hint": "write `expand` instead, which takes a list for each argument"
            if isinstance(value, dict)
            else "write e.g. `[{source: a, target: b}, ...]` or `{$x: task}`"
        },
    )


Entries = Annotated[
    Any,
    BeforeValidator(_entries),
    WithJsonSchema({"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "object"}}, {"type": "object"}]}),
]
"""A list of arguments, or what a task returns."""


def _setups(value: Any) -> Any:
    if value is False:
        raise PydanticCustomError("teardown", "must be `true` or names of setup tasks", {"hint": "remove the key"})
    return [] if value is True else many(value)


Setups = Annotated[
    list[str],
    BeforeValidator(
        _setups,
        json_schema_input_type=Literal[True] | str | list[str],
    ),
]
"""Ids of setup tasks; `true` for none."""

RunType = Literal[
    "scheduled", "manual", "backfill", "asset_triggered", "asset_materialization", "operator_triggered",
]  # fmt: skip
RunTypes = Annotated[
    list[RunType], Field(min_length=1), BeforeValidator(many, json_schema_input_type=RunType | list[RunType])
]

Rights = Annotated[
    dict[str, list[str]],
    BeforeValidator(
        lambda value: {"DAGs": value} if isinstance(value, list) else value,
        json_schema_input_type=dict[str, list[str]] | list[str],
    ),
]


class Task(OperatorArguments):
    """One task: a step of ours or any operator."""

    refused: ClassVar[Mapping[str, str]] = {**refused.OPERATOR, **refused.ELSEWHERE}

    id: Name = Field(description="Name of the task, unique in its group.")
    uses: str | None = Field(
        None,
        description="One of our steps by its bare name, or any operator by its dotted path; nothing is an empty task.",
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Arguments of the step or operator.")
    run: dict[str, Any] | None = Field(
        None,
        description="Arguments of a task handler outside Airflow, instead of `uses` and `with`; needs Airflow 3.4.",
    )
    needs: Names = Field(default_factory=list, description="Tasks and groups that come before it.")
    extends: Names = Field(
        default_factory=list, description="Templates whose keys it has, the later over the earlier, its own over all."
    )
    expand: Annotated[dict[str, Any], Field(min_length=1), BeforeValidator(_lists)] | None = Field(
        None,
        description="Arguments to lists, or to `{$x: task}`: one task runs for each value, of several for each pair.",
    )
    expand_kwargs: Entries | None = Field(
        None, description="A list of arguments, or `{$x: task}`: one task runs for each entry."
    )
    map_index_template: str | None = Field(
        None, description="How the UI names each mapped task: a template, e.g. `{{ task.source }}`."
    )
    params: Params | None = Field(
        None, description="Its own `params`, over those of the pipeline: defaults, or JSON schemas with defaults."
    )
    setup: bool | None = Field(None, description="Whether it sets up what a `teardown` cleans up.")
    teardown: Setups | None = Field(
        None, description="The setup tasks it cleans up after: it runs whatever happened in between. `true` for none."
    )
    on_failure_fail_dagrun: bool | None = Field(
        None, description="Whether the run fails where this `teardown` does; else only the other tasks decide."
    )
    matrix: Matrix | None = Field(None, description="Repeat the task for each value when the file is read.")


class Group(SpecModel):
    """A task group: an item that has `tasks`."""

    refused: ClassVar[Mapping[str, str]] = {**refused.GROUP, **refused.GROUP_MAPPING}

    id: Name = Field(description="Name of the group, unique in its group.")
    tasks: list[Annotated[Task | Group, Field(union_mode="left_to_right")]] = Field(
        min_length=1, description="The tasks and groups in it."
    )
    needs: Names = Field(default_factory=list, description="Tasks and groups that come before all of it.")
    matrix: Matrix | None = Field(None, description="Repeat the group for each value when the file is read.")
    prefix_group_id: bool | None = Field(
        None, description="Whether ids in it begin with its own, as `group.task`; they do by default."
    )
    group_display_name: str | None = Field(None, description="How the UI names it.")
    tooltip: str | None = Field(None, description="What the UI says of the group.")
    doc_md: str | None = Field(None, description="Documentation, as Markdown.")
    ui_color: str | None = Field(None, description="The colour of its box in the UI, e.g. `#eef4f8`.")
    ui_fgcolor: str | None = Field(None, description="The colour of its name in the UI.")
    default_args: OperatorArguments | None = Field(
        None, description="Arguments of all its tasks that do not say otherwise."
    )

    def given(self) -> dict[str, Any]:
        """The arguments of `TaskGroup` that the YAML gives, by Airflow's names, besides `default_args`."""
        found = {name: getattr(self, name) for name in GROUP_ARGUMENTS if name in self.model_fields_set}
        return {name: value for name, value in found.items() if value is not None}


TASK_ARGUMENTS = ("map_index_template", "params")
"""Keys of a task that `BaseOperator` takes under the same name, and that are not for all tasks."""

GROUP_ARGUMENTS = ("prefix_group_id", "group_display_name", "tooltip", "doc_md", "ui_color", "ui_fgcolor")
"""Keys of a group that `TaskGroup` takes under the same name."""


class Head(SpecModel):
    """What a pipeline says of itself, besides its tasks."""

    refused: ClassVar[Mapping[str, str]] = refused.DAG

    dag_id: Name = Field(description="Name of the pipeline, unique in the deployment.")
    description: str | None = Field(None, description="One line, shown in the UI.")
    dag_display_name: str | None = Field(None, description="How the UI names it.")
    schedule: Schedule | None = Field(
        None,
        description="When it runs: a cron expression, a preset such as `@daily`, a duration such as `6h`, assets, or a "
        "timetable by `uses` and `with`; "
        "nothing is only by hand.",
    )
    timezone: Zone = Field("UTC", description="The zone of the schedule and of dates without one.")
    start_date: Moment | None = Field(None, description="The first date it runs for.")
    end_date: Moment | None = Field(None, description="The last date it runs for.")
    catchup: bool | None = Field(None, description="Whether dates missed since `start_date` are run too.")
    tags: list[str] = Field(default_factory=list, description="Words to find it by in the UI.")
    doc_md: str | None = Field(
        None, description="Documentation, as Markdown, or the name of a file beside the pipeline that ends in `.md`."
    )
    owner_links: dict[str, Link] | None = Field(None, description="Owner to link, for the UI.")
    params: Params | None = Field(
        None,
        description="Values a run may be started with: name to a default, or to a JSON schema with its `default`.",
    )
    max_active_runs: Positive | None = Field(
        None, description="How many runs go at once; 1 by default where a model is retrained or a release is made."
    )
    max_active_tasks: Positive | None = Field(None, description="How many tasks go at once in one run.")
    max_consecutive_failed_dag_runs: NonNegative | None = Field(
        None, description="After how many failed runs it is paused."
    )
    on_success_callback: Callbacks | None = Field(
        None,
        description="What is called when a run has succeeded: `module:function`, or a notifier by `uses`; or a list.",
    )
    on_failure_callback: Callbacks | None = Field(None, description="What is called when a run has failed.")
    notify: Notify | None = Field(None, description="Who is told of a run that failed, succeeded or is late, and how.")
    deadline: Deadlines | None = Field(None, description="By when a run must have ended; one deadline, or a list.")
    dagrun_timeout: Duration | None = Field(
        None,
        description="How long a run may take; then it fails, what has not ended is skipped, and clean-ups still run.",
    )
    fail_fast: bool | None = Field(None, description="Whether the first failed task ends the run.")
    allowed_run_types: RunTypes | None = Field(None, description="Which kinds of run there may be; nothing is all.")
    render_template_as_native_obj: bool | None = Field(
        None, description="Whether what `$t` gives keeps its type instead of being text."
    )
    access_control: dict[str, Rights] | None = Field(
        None, description="Role to what it may do with the pipeline, where the deployment's auth manager has roles."
    )
    disable_bundle_versioning: bool | None = Field(
        None, description="Whether runs take the newest version of the files instead of the one they began with."
    )
    rerun_with_latest_version: bool | None = Field(
        None, description="Whether a cleared run takes the newest version of the files; needs Airflow 3.3."
    )
    is_paused_upon_creation: bool | None = Field(None, description="Whether it is paused when it first appears.")
    default_args: OperatorArguments | None = Field(
        None, description="Arguments of all tasks that do not say otherwise."
    )
    storage: Folder | None = Field(
        None, description="Where tables, models and releases are kept; relative paths are under it."
    )
    requirements: Requirements | None = Field(
        None,
        description="Packages that the steps `ingest`, `transform`, `retrain` and `predict` have beside what they need "
        "themselves, e.g. `[pandas<2]`, or the name of a `.txt` file; a step's own replace them.",
    )
    python: Python | None = Field(
        None,
        description="The path of the interpreter these steps run by; for those with `requirements` also a version.",
    )
    image: Image | None = Field(None, description="The container image that these steps run in.")

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        check_together(self)
        return self


class Pipeline(Head, defer_build=True):  # it is described by, and checked by its parts
    """A whole file, or one document of it."""

    include: Names = Field(
        default_factory=list,
        description="YAML files beside the pipeline whose `vars`, `default_args`, `templates` and `notify` it shares; "
        "its own entries win.",
    )
    templates: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Keys of tasks by a name, for `extends`; `with` and `run` are merged entry by entry.",
    )
    vars: dict[str, Any] = Field(default_factory=dict, description="Values for `${{ vars.* }}`.")
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Keys that replace the file's in one environment."
    )
    tasks: list[Annotated[Task | Group, Field(union_mode="left_to_right")]] = Field(
        min_length=1, description="The tasks and groups, in any order."
    )


Group.model_rebuild()
