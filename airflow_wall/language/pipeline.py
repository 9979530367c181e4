"""The blocks of a pipeline file: the pipeline itself, its tasks and its groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.language import refused, words
from airflow_wall.language.base import (
    DagId,
    Duration,
    Lake,
    Link,
    Moment,
    Name,
    Names,
    NonNegative,
    Positive,
    SpecModel,
    Zone,
)
from airflow_wall.language.callables import Callbacks, Macros, many
from airflow_wall.language.deadline import Deadlines
from airflow_wall.language.environment import Image, Python, Requirements, check_together
from airflow_wall.language.markers import Import, XComRef
from airflow_wall.language.notify import Notify
from airflow_wall.language.operator import NATIVE, OperatorArguments
from airflow_wall.language.params import Params
from airflow_wall.language.schedule import Schedule
from airflow_wall.text.kinds import Arguments, Beyond, FieldKind, Operator, Plain, TemplateText

_CELLS = {"type": "array", "minItems": 1, "items": {"type": ["string", "integer", "boolean"]}}

Matrix = Annotated[
    dict[str, list[Any]],
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [_CELLS, {"type": "string", "pattern": r"^\$\{\{.*\}\}$"}]},
        }
    ),
    FieldKind.PLAIN,
]


def _lists(value: Any) -> Any:
    if isinstance(value, XComRef):
        hint = f"write `expand_kwargs: {value}`, or name the argument it is for: `expand: {{NAME: {value}}}`"
        raise PydanticCustomError("lists", "must be a mapping of arguments to lists", {"hint": hint})
    return value


def _entries(value: Any) -> Any:
    if isinstance(value, XComRef) or (
        isinstance(value, list) and value and all(isinstance(entry, dict | Import) for entry in value)
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
    FieldKind.ARGUMENTS,
]
"""A list of arguments, or the result of a task."""


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
    FieldKind.PLAIN,
]
"""Ids of setup tasks; `true` for none."""

RunType = Literal[
    "scheduled", "manual", "backfill", "asset_triggered", "asset_materialization", "operator_triggered",
]  # fmt: skip
RunTypes = Annotated[
    list[RunType],
    Field(min_length=1),
    BeforeValidator(many, json_schema_input_type=RunType | list[RunType]),
    FieldKind.PLAIN,
]

Rights = Annotated[
    dict[str, list[str]],
    BeforeValidator(
        lambda value: {"DAGs": value} if isinstance(value, list) else value,
        json_schema_input_type=dict[str, list[str]] | list[str],
    ),
]


ACCESS = Beyond("says who may see the pipeline and run it")


class Task(OperatorArguments):
    """One task: a step of airflow-wall or any operator."""

    refused: ClassVar[Mapping[str, str]] = {**words.TASK, **refused.OPERATOR}

    id: Name = Field(description="Name of the task, unique in its group.")
    uses: Operator[str] | None = Field(
        None,
        description="A step of airflow-wall by its bare name, or any operator by its dotted path; without it, an empty "
        "task.",
    )
    with_: Arguments[dict[str, Any]] = Field(
        default_factory=dict, alias="with", description="Arguments of the step or operator."
    )
    run: Arguments[dict[str, Any]] | None = Field(
        None,
        description="Arguments of a task handler outside Airflow, instead of `uses` and `with`; needs Airflow 3.4.",
    )
    needs: Names = Field(default_factory=list, description="Tasks and groups that come before it.")
    extends: Names = Field(
        default_factory=list,
        description="Templates whose keys it takes; later ones win over earlier ones, and its own keys over all.",
    )
    expand: Annotated[dict[str, Any], Field(min_length=1), BeforeValidator(_lists), FieldKind.ARGUMENTS] | None = Field(
        None,
        description="Arguments to lists, or to `{$x: task}`: one task runs for each value, or for each combination of "
        "several arguments.",
    )
    expand_kwargs: Entries | None = Field(
        None, description="A list of arguments, or `{$x: task}`: one task runs for each entry."
    )
    map_index_template: TemplateText[str] | None = Field(
        None, description="Name of each mapped task in the UI: a template, e.g. `{{ task.source }}`."
    )
    params: Params | None = Field(
        None, description="Its own `params`, over those of the pipeline: defaults, or JSON schemas with defaults."
    )
    setup: Plain[bool] | None = Field(None, description="If true, it is the setup for a `teardown` task.")
    teardown: Setups | None = Field(
        None, description="The setup tasks it cleans up after. It also runs if tasks between fail. `true` for none."
    )
    on_failure_fail_dagrun: Plain[bool] | None = Field(
        None, description="If true, the run fails if this `teardown` does; otherwise only the other tasks decide."
    )
    matrix: Matrix | None = Field(None, description="Repeat the task for each value when the file is read.")


class Group(SpecModel):
    """A task group: an item with `tasks`."""

    refused: ClassVar[Mapping[str, str]] = {**words.GROUP, **refused.GROUP, **refused.GROUP_MAPPING}

    id: Name = Field(description="Name of the group, unique in its group.")
    tasks: list[Annotated[Task | Group, Field(union_mode="left_to_right")]] = Field(
        min_length=1, description="The tasks and groups in it."
    )
    needs: Names = Field(default_factory=list, description="Tasks and groups that come before all of it.")
    matrix: Matrix | None = Field(None, description="Repeat the group for each value when the file is read.")
    prefix_group_id: Plain[bool] | None = Field(
        None, description="If true, the default, ids in it begin with its own, as `group.task`."
    )
    group_display_name: Plain[str] | None = Field(None, description="Name in the UI.")
    tooltip: Plain[str] | None = Field(None, description="The tooltip of the group in the UI.")
    doc_md: Plain[str] | None = Field(None, description="Documentation, as Markdown.")
    ui_color: Plain[str] | None = Field(None, description="The colour of its box in the UI, e.g. `#eef4f8`.")
    ui_fgcolor: Plain[str] | None = Field(None, description="The colour of its name in the UI.")
    default_args: OperatorArguments | None = Field(
        None, description="Arguments of all its tasks that do not set their own."
    )

    def explicit_arguments(self) -> dict[str, Any]:
        """Return the arguments of `TaskGroup` that the YAML sets, by Airflow's names, without `default_args`."""
        arguments = {name: getattr(self, name) for name in GROUP_ARGUMENTS if name in self.model_fields_set}
        return {name: value for name, value in arguments.items() if value is not None}


TASK_ARGUMENTS = ("map_index_template", "params")
"""Keys of a task that `BaseOperator` takes under the same name, and that `default_args` does not have."""

GROUP_ARGUMENTS = ("prefix_group_id", "group_display_name", "tooltip", "doc_md", "ui_color", "ui_fgcolor")
"""Keys of a group that `TaskGroup` takes under the same name."""


class Head(SpecModel):
    """The keys of a pipeline besides its tasks."""

    refused: ClassVar[Mapping[str, str]] = {**words.PIPELINE, **refused.DAG}

    dag_id: DagId = Field(description="Name of the pipeline, unique in the deployment.")
    description: Plain[str] | None = Field(None, description="One line, shown in the UI.")
    dag_display_name: Plain[str] | None = Field(None, description="Name in the UI.")
    schedule: Schedule | None = Field(
        None,
        description="The schedule of runs: a cron expression, a preset such as `@daily`, a duration such as `6h`, "
        "assets, or a timetable by `uses` and `with`; without it, runs start only by hand.",
    )
    timezone: Zone = Field("UTC", description="The zone of the schedule and of dates without one.")
    start_date: Moment | None = Field(None, description="The first date it runs for.")
    end_date: Moment | None = Field(None, description="The last date it runs for.")
    catchup: Plain[bool] | None = Field(None, description="If true, dates missed since `start_date` are run too.")
    tags: Plain[list[str]] = Field(default_factory=list, description="Words to find it by in the UI.")
    doc_md: Plain[str] | None = Field(
        None, description="Documentation, as Markdown, or the name of a file beside the pipeline that ends in `.md`."
    )
    owner_links: dict[str, Link] | None = Field(None, description="Owner to link, for the UI.")
    params: Params | None = Field(
        None,
        description="Values that a run can be started with: name to a default, or to a JSON schema with a `default`.",
    )
    max_active_runs: Positive | None = Field(
        None,
        description="The most runs at once; by default 1 if a model is retrained or a release is made.",
    )
    max_active_tasks: Positive | None = Field(None, description="The most tasks at once in one run.")
    max_consecutive_failed_dag_runs: NonNegative | None = Field(
        None, description="Number of failed runs in a row after which it is paused."
    )
    on_success_callback: Callbacks | None = Field(
        None,
        description="Called when a run has succeeded: `module:function`, or a notifier by `uses`; or a list.",
    )
    on_failure_callback: Callbacks | None = Field(None, description="Called when a run has failed.")
    notify: Notify | None = Field(None, description="Notifications of runs that failed, succeeded or are late.")
    deadline: Deadlines | None = Field(None, description="Time by which a run must end; one deadline, or a list.")
    dagrun_timeout: Duration | None = Field(
        None,
        description="The longest time of a run. After it, the run fails, its unfinished tasks are skipped, and "
        "clean-ups still run.",
    )
    fail_fast: Plain[bool] | None = Field(None, description="If true, the first failed task ends the run.")
    allowed_run_types: RunTypes | None = Field(None, description="The kinds of runs that are allowed; by default all.")
    render_template_as_native_obj: Annotated[bool, NATIVE] | None = Field(
        None, description="If true, the results of `$t` keep their type instead of being text."
    )
    user_defined_macros: Macros | None = Field(
        None, description="Names for templates, each with a function or value of Python beside the pipeline."
    )
    user_defined_filters: Macros | None = Field(
        None, description="Filters for templates, each with a function of Python beside the pipeline."
    )
    access_control: Annotated[dict[str, Rights], ACCESS] | None = Field(
        None, description="Role to its rights on the pipeline, if the deployment's auth manager has roles."
    )
    disable_bundle_versioning: Plain[bool] | None = Field(
        None, description="If true, runs use the newest version of the files instead of the one they began with."
    )
    rerun_with_latest_version: Plain[bool] | None = Field(
        None, description="If true, a cleared run uses the newest version of the files; needs Airflow 3.3."
    )
    is_paused_upon_creation: Plain[bool] | None = Field(
        None, description="If true, it is paused when it first appears."
    )
    default_args: OperatorArguments | None = Field(
        None, description="Arguments of all tasks that do not set their own."
    )
    storage: Annotated[Lake | None, FieldKind.LAKE] = Field(
        None,
        description="The lake of tables, models and releases: a folder, `s3://bucket/prefix` or `gs://bucket/prefix`, "
        "with an Airflow connection `s3://CONN@bucket/prefix`. Relative paths are under it.",
    )
    requirements: Requirements | None = Field(
        None,
        description="Packages to install for the steps `ingest`, `transform`, `retrain` and `predict`, e.g. "
        "`[pandas<2]`, or the name of a `.txt` file; a step's own `requirements` replace them.",
    )
    python: Python | None = Field(
        None,
        description="The path of the interpreter of these steps; for steps with `requirements` also a version.",
    )
    image: Image | None = Field(None, description="The container image of these steps.")

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        check_together(self)
        return self


class Pipeline(Head, defer_build=True):  # only for the schema and reference; the loader checks its parts
    """A whole file, or one document of it."""

    include: Names = Field(
        default_factory=list,
        description="YAML files beside the pipeline whose `vars`, `default_args`, `templates` and `notify` it shares; "
        "its own entries win.",
    )
    templates: Arguments[dict[str, dict[str, Any]]] = Field(
        default_factory=dict,
        description="Keys of tasks by a name, for `extends`; `with` and `run` are merged entry by entry.",
    )
    vars: Plain[dict[str, Any]] = Field(default_factory=dict, description="Values for `${{ vars.* }}`.")
    environments: Arguments[dict[str, dict[str, Any]]] = Field(
        default_factory=dict, description="Keys that replace the file's in one environment."
    )
    tasks: list[Annotated[Task | Group, Field(union_mode="left_to_right")]] = Field(
        min_length=1, description="The tasks and groups, in any order."
    )


Group.model_rebuild()
